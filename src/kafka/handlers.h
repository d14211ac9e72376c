#pragma once

#include "access/access.h"
#include "kafka/authentication.h"
#include "kafka/messages.h"
#include "kafka/options.h"
#include "kafka/reply.h"

namespace sluice::kafka {

class Coordinator;

// What all handlers of a server share.
struct Services {
  runtime::Loop& loop;
  stream::Stream& stream;
  access::Access& access;
  Coordinator& coordinator;  // of this shard
  const Options& options;
  std::int64_t next_producer_id = 0;
  std::int64_t auto_creations = 0;  // under way
};

// One request. Valid during the handler's call only, as are the views inside the request: a handler
// that goes on later copies what it needs.
struct Call {
  Services& services;
  const access::Principal& principal;
  Authentication& authentication;
  const runtime::Endpoint& advertised;  // where this client reaches the server
  std::string_view client_id;
  runtime::Socket socket;

  [[nodiscard]] bool may(access::Action action, std::string_view stream) const {
    return services.access.check(principal, action, stream).has_value();
  }
};

// One function per API, in <api>_handler.cc; those of groups in group_handlers.cc and
// group_admin_handlers.cc.
void handle(Call& call, const ApiVersionsRequest& request, Reply<ApiVersionsResponse> reply);
void handle(Call& call, const MetadataRequest& request, Reply<MetadataResponse> reply);
void handle(Call& call, const DescribeClusterRequest& request,
            Reply<DescribeClusterResponse> reply);
void handle(Call& call, const ProduceRequest& request, Reply<ProduceResponse> reply);
void handle(Call& call, const FetchRequest& request, Reply<FetchResponse> reply);
void handle(Call& call, const ListOffsetsRequest& request, Reply<ListOffsetsResponse> reply);
void handle(Call& call, const CreateTopicsRequest& request, Reply<CreateTopicsResponse> reply);
void handle(Call& call, const DeleteTopicsRequest& request, Reply<DeleteTopicsResponse> reply);
void handle(Call& call, const DescribeConfigsRequest& request,
            Reply<DescribeConfigsResponse> reply);
void handle(Call& call, const IncrementalAlterConfigsRequest& request,
            Reply<AlterConfigsResponse> reply);
void handle(Call& call, const AlterConfigsRequest& request, Reply<AlterConfigsResponse> reply);
void handle(Call& call, const CreatePartitionsRequest& request,
            Reply<CreatePartitionsResponse> reply);
void handle(Call& call, const DeleteRecordsRequest& request, Reply<DeleteRecordsResponse> reply);
void handle(Call& call, const OffsetForLeaderEpochRequest& request,
            Reply<OffsetForLeaderEpochResponse> reply);
void handle(Call& call, const ListPartitionReassignmentsRequest& request,
            Reply<ListPartitionReassignmentsResponse> reply);
void handle(Call& call, const InitProducerIdRequest& request, Reply<InitProducerIdResponse> reply);
void handle(Call& call, const SaslHandshakeRequest& request, Reply<SaslHandshakeResponse> reply);
void handle(Call& call, const SaslAuthenticateRequest& request,
            Reply<SaslAuthenticateResponse> reply);
void handle(Call& call, const FindCoordinatorRequest& request,
            Reply<FindCoordinatorResponse> reply);
void handle(Call& call, const JoinGroupRequest& request, Reply<JoinGroupResponse> reply);
void handle(Call& call, const SyncGroupRequest& request, Reply<SyncGroupResponse> reply);
void handle(Call& call, const HeartbeatRequest& request, Reply<HeartbeatResponse> reply);
void handle(Call& call, const LeaveGroupRequest& request, Reply<LeaveGroupResponse> reply);
void handle(Call& call, const OffsetCommitRequest& request, Reply<OffsetCommitResponse> reply);
void handle(Call& call, const OffsetFetchRequest& request, Reply<OffsetFetchResponse> reply);
void handle(Call& call, const OffsetDeleteRequest& request, Reply<OffsetDeleteResponse> reply);
void handle(Call& call, const DescribeGroupsRequest& request, Reply<DescribeGroupsResponse> reply);
void handle(Call& call, const ListGroupsRequest& request, Reply<ListGroupsResponse> reply);
void handle(Call& call, const DeleteGroupsRequest& request, Reply<DeleteGroupsResponse> reply);

// Decodes the body of a supported request and calls its handler. Errc::malformed when it can't be
// decoded.
Result<void> dispatch(Call& call, const Request& request, ReplyPath reply);

// The answer to an ApiVersions request of a version that is not known: in the layout of version 0,
// which every client can read, with error 35 and the versions to choose from.
void refuse_api_version(Reply<ApiVersionsResponse> reply);

}  // namespace sluice::kafka
