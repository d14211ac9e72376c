#pragma once

#include "base/assert.h"
#include "kafka/alter_configs_messages.h"
#include "kafka/api.h"
#include "kafka/api_versions_messages.h"
#include "kafka/create_partitions_messages.h"
#include "kafka/create_topics_messages.h"
#include "kafka/delete_groups_messages.h"
#include "kafka/delete_records_messages.h"
#include "kafka/delete_topics_messages.h"
#include "kafka/describe_configs_messages.h"
#include "kafka/describe_groups_messages.h"
#include "kafka/fetch_messages.h"
#include "kafka/find_coordinator_messages.h"
#include "kafka/heartbeat_messages.h"
#include "kafka/init_producer_id_messages.h"
#include "kafka/join_group_messages.h"
#include "kafka/leader_epoch_messages.h"
#include "kafka/leave_group_messages.h"
#include "kafka/list_groups_messages.h"
#include "kafka/list_offsets_messages.h"
#include "kafka/metadata_messages.h"
#include "kafka/offset_commit_messages.h"
#include "kafka/offset_delete_messages.h"
#include "kafka/offset_fetch_messages.h"
#include "kafka/produce_messages.h"
#include "kafka/reassignments_messages.h"
#include "kafka/sasl_messages.h"
#include "kafka/sync_group_messages.h"

namespace sluice::kafka {

// Calls `visit.operator()<Request, Response>()` with the message types of an API.
template <class Visit>
decltype(auto) visit_messages(ApiKey key, Visit&& visit) {
  switch (key) {
    case ApiKey::produce:
      return visit.template operator()<ProduceRequest, ProduceResponse>();
    case ApiKey::fetch:
      return visit.template operator()<FetchRequest, FetchResponse>();
    case ApiKey::list_offsets:
      return visit.template operator()<ListOffsetsRequest, ListOffsetsResponse>();
    case ApiKey::metadata:
      return visit.template operator()<MetadataRequest, MetadataResponse>();
    case ApiKey::offset_commit:
      return visit.template operator()<OffsetCommitRequest, OffsetCommitResponse>();
    case ApiKey::offset_fetch:
      return visit.template operator()<OffsetFetchRequest, OffsetFetchResponse>();
    case ApiKey::find_coordinator:
      return visit.template operator()<FindCoordinatorRequest, FindCoordinatorResponse>();
    case ApiKey::join_group:
      return visit.template operator()<JoinGroupRequest, JoinGroupResponse>();
    case ApiKey::heartbeat:
      return visit.template operator()<HeartbeatRequest, HeartbeatResponse>();
    case ApiKey::leave_group:
      return visit.template operator()<LeaveGroupRequest, LeaveGroupResponse>();
    case ApiKey::sync_group:
      return visit.template operator()<SyncGroupRequest, SyncGroupResponse>();
    case ApiKey::describe_groups:
      return visit.template operator()<DescribeGroupsRequest, DescribeGroupsResponse>();
    case ApiKey::list_groups:
      return visit.template operator()<ListGroupsRequest, ListGroupsResponse>();
    case ApiKey::sasl_handshake:
      return visit.template operator()<SaslHandshakeRequest, SaslHandshakeResponse>();
    case ApiKey::api_versions:
      return visit.template operator()<ApiVersionsRequest, ApiVersionsResponse>();
    case ApiKey::create_topics:
      return visit.template operator()<CreateTopicsRequest, CreateTopicsResponse>();
    case ApiKey::delete_topics:
      return visit.template operator()<DeleteTopicsRequest, DeleteTopicsResponse>();
    case ApiKey::init_producer_id:
      return visit.template operator()<InitProducerIdRequest, InitProducerIdResponse>();
    case ApiKey::describe_configs:
      return visit.template operator()<DescribeConfigsRequest, DescribeConfigsResponse>();
    case ApiKey::sasl_authenticate:
      return visit.template operator()<SaslAuthenticateRequest, SaslAuthenticateResponse>();
    case ApiKey::delete_groups:
      return visit.template operator()<DeleteGroupsRequest, DeleteGroupsResponse>();
    case ApiKey::offset_delete:
      return visit.template operator()<OffsetDeleteRequest, OffsetDeleteResponse>();
    case ApiKey::delete_records:
      return visit.template operator()<DeleteRecordsRequest, DeleteRecordsResponse>();
    case ApiKey::offset_for_leader_epoch:
      return visit.template operator()<OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse>();
    case ApiKey::alter_configs:
      return visit.template operator()<AlterConfigsRequest, AlterConfigsResponse>();
    case ApiKey::create_partitions:
      return visit.template operator()<CreatePartitionsRequest, CreatePartitionsResponse>();
    case ApiKey::incremental_alter_configs:
      return visit.template operator()<IncrementalAlterConfigsRequest, AlterConfigsResponse>();
    case ApiKey::list_partition_reassignments:
      return visit.template
      operator()<ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse>();
    case ApiKey::describe_cluster:
      return visit.template operator()<DescribeClusterRequest, DescribeClusterResponse>();
  }
  assertion_failed("an API of the table", __FILE__, __LINE__);
}

}  // namespace sluice::kafka
