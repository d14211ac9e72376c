#pragma once

#include "base/assert.h"
#include "kafka/api.h"
#include "kafka/api_versions_messages.h"
#include "kafka/create_topics_messages.h"
#include "kafka/delete_topics_messages.h"
#include "kafka/describe_configs_messages.h"
#include "kafka/fetch_messages.h"
#include "kafka/init_producer_id_messages.h"
#include "kafka/list_offsets_messages.h"
#include "kafka/metadata_messages.h"
#include "kafka/produce_messages.h"
#include "kafka/sasl_messages.h"

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
    case ApiKey::describe_cluster:
      return visit.template operator()<DescribeClusterRequest, DescribeClusterResponse>();
  }
  assertion_failed("an API of the table", __FILE__, __LINE__);
}

}  // namespace sluice::kafka
