#include <algorithm>

#include "kafka/topics.h"

namespace sluice::kafka {

namespace {

using Topic = MetadataResponse::Topic;

MetadataResponse::Broker this_broker(const Call& call) {
  return {.node_id = node_id,
          .host = call.advertised.address,
          .port = call.advertised.port,
          .rack = std::nullopt};
}

Topic describe(const stream::StreamInfo& stream) {
  Topic topic{.name = stream.name,
              .topic_id = topic_id_of(stream.id),
              .is_internal = stream.config.internal};
  topic.partitions.reserve(stream.config.partitions);
  for (std::uint32_t i = 0; i < stream.config.partitions; ++i) {
    topic.partitions.push_back({.partition_index = static_cast<std::int32_t>(i),
                                .leader_id = node_id,
                                .leader_epoch = leader_epoch,
                                .replica_nodes = {node_id},
                                .isr_nodes = {node_id}});
  }
  return topic;
}

void add_all_topics(const Call& call, std::vector<Topic>& topics) {
  for (const auto& [name, stream] : call.services.stream.catalogue().all()) {
    if (!stream.config.internal && call.may(access::Action::describe, name))
      topics.push_back(describe(stream));
  }
}

Topic describe_by_id(const Call& call, const Uuid& topic_id) {
  const auto id = stream_id_of(topic_id);
  const stream::StreamInfo* stream = id ? call.services.stream.catalogue().find(*id) : nullptr;
  // Who may not see a topic must not learn from its id that there is one (KIP-516).
  if (stream == nullptr || !call.may(access::Action::describe, stream->name)) {
    return {.error_code = ErrorCode::unknown_topic_id, .topic_id = topic_id};
  }
  return describe(*stream);
}

bool may_auto_create(const Call& call, const MetadataRequest& request, std::string_view name) {
  const auto& options = call.services.options;
  if (!options.auto_create || !request.allow_auto_topic_creation) return false;
  const auto& streams = call.services.stream.catalogue().all();
  const auto topics =
      std::ranges::count_if(streams, [](const auto& s) { return !s.second.config.internal; });
  return topics + call.services.auto_creations < options.auto_create_max &&
         call.may(access::Action::create, name);
}

ErrorCode creation_error(Errc code) {
  // `exists`: somebody else was quicker, and the catalogue of this shard will know soon.
  return code == Errc::exists ? ErrorCode::leader_not_available : to_error_code(code);
}

using Gathered = std::shared_ptr<GatheredReply<MetadataResponse>>;

// Within the request, so that the client need not ask again 100 ms later.
void auto_create(Services& services, const Gathered& gathered, std::size_t index,
                 std::string name) {
  gathered->begin();
  ++services.auto_creations;
  services.stream.create(std::move(name), services.options.default_config,
                         [&services, gathered, index](const Result<stream::StreamInfo>& created) {
                           --services.auto_creations;
                           Topic& topic = gathered->response.topics[index];
                           if (created) {
                             topic = describe(*created);
                           } else {
                             topic.error_code = creation_error(created.error().code);
                           }
                           gathered->end();
                         });
}

void add_named_topic(const Call& call, const MetadataRequest& request, std::string_view name,
                     const Gathered& gathered) {
  auto& topics = gathered->response.topics;
  const auto add_error = [&](ErrorCode code) {
    topics.push_back({.error_code = code, .name = std::string(name)});
  };
  if (!call.may(access::Action::describe, name))
    return add_error(ErrorCode::topic_authorization_failed);
  if (const auto* stream = call.services.stream.catalogue().find(name))
    return topics.push_back(describe(*stream));
  if (!validate_new_topic(name)) return add_error(ErrorCode::invalid_topic);
  add_error(ErrorCode::unknown_topic_or_partition);
  if (may_auto_create(call, request, name)) {
    auto_create(call.services, gathered, topics.size() - 1, std::string(name));
  }
}

bool wants_all(const MetadataRequest& request, std::int16_t version) {
  return !request.topics || (version == 0 && request.topics->empty());
}

}  // namespace

void handle(Call& call, const MetadataRequest& request, Reply<MetadataResponse> reply) {
  const auto version = reply.version();
  const auto gathered = std::make_shared<GatheredReply<MetadataResponse>>(std::move(reply));
  MetadataResponse& response = gathered->response;
  response.brokers.push_back(this_broker(call));
  response.cluster_id = call.services.options.cluster_id;
  response.controller_id = node_id;
  if (wants_all(request, version)) {
    add_all_topics(call, response.topics);
  } else {
    for (const auto& topic : *request.topics) {
      if (topic.name) {
        add_named_topic(call, request, *topic.name, gathered);
      } else {
        response.topics.push_back(describe_by_id(call, topic.topic_id));
      }
    }
  }
  gathered->end();
}

void handle(Call& call, const DescribeClusterRequest& request,
            Reply<DescribeClusterResponse> reply) {
  constexpr std::int8_t brokers = 1;
  if (request.endpoint_type != brokers) {
    return reply.send({.error_code = ErrorCode::invalid_request,
                       .error_message = "there are no endpoints but brokers",
                       .endpoint_type = request.endpoint_type});
  }
  reply.send({.cluster_id = call.services.options.cluster_id,
              .controller_id = node_id,
              .brokers = {this_broker(call)}});
}

}  // namespace sluice::kafka
