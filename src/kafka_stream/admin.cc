#include "kafka_stream/admin.h"

#include <array>
#include <utility>

namespace sluice::kafka_stream {
namespace {

// Topics are made and deleted by the controller; a slow one is given more time than a read.
constexpr std::chrono::milliseconds change_timeout{6000};

using AdminOptions =
    std::unique_ptr<rd_kafka_AdminOptions_t, Destroy<rd_kafka_AdminOptions_destroy>>;
using NewTopic = std::unique_ptr<rd_kafka_NewTopic_t, Destroy<rd_kafka_NewTopic_destroy>>;
using DeleteTopic = std::unique_ptr<rd_kafka_DeleteTopic_t, Destroy<rd_kafka_DeleteTopic_destroy>>;
using NewPartitions =
    std::unique_ptr<rd_kafka_NewPartitions_t, Destroy<rd_kafka_NewPartitions_destroy>>;
using ConfigResource =
    std::unique_ptr<rd_kafka_ConfigResource_t, Destroy<rd_kafka_ConfigResource_destroy>>;
using DeleteRecords =
    std::unique_ptr<rd_kafka_DeleteRecords_t, Destroy<rd_kafka_DeleteRecords_destroy>>;

using Text = std::array<char, 512>;

Error admin_error(rd_kafka_resp_err_t code, std::string_view what, const char* says) {
  Error error = error_of(code, what);
  if (says != nullptr && *says != '\0') error.text = fmt::format("{}: {}", what, says);
  return error;
}

// Sends a request by `send(options, queue)` and waits for its answer.
template <class Send>
Result<Event> ask(rd_kafka_t* client, rd_kafka_admin_op_t kind, std::string_view what, Send send) {
  const AdminOptions options(rd_kafka_AdminOptions_new(client, kind));
  Text text{};
  rd_kafka_AdminOptions_set_request_timeout(options.get(), milliseconds(change_timeout),
                                            text.data(), text.size());
  const Queue queue(rd_kafka_queue_new(client));
  send(options.get(), queue.get());
  Event event(rd_kafka_queue_poll(queue.get(), milliseconds(change_timeout + request_timeout)));
  if (!event) return fail(Errc::io, "{}: no answer of the cluster", what);
  if (const auto error = rd_kafka_event_error(event.get()); error != RD_KAFKA_RESP_ERR_NO_ERROR)
    return std::unexpected(admin_error(error, what, rd_kafka_event_error_string(event.get())));
  return event;
}

Result<void> check_topic_results(const rd_kafka_topic_result_t** results, std::size_t count,
                                 std::string_view what) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto error = rd_kafka_topic_result_error(results[i]);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
      return std::unexpected(
          admin_error(error, what, rd_kafka_topic_result_error_string(results[i])));
  }
  return {};
}

TopicSettings settings_of(const rd_kafka_ConfigResource_t* resource) {
  TopicSettings settings;
  std::size_t count = 0;
  const auto* const* entries = rd_kafka_ConfigResource_configs(resource, &count);
  for (std::size_t i = 0; i < count; ++i) {
    const char* const name = rd_kafka_ConfigEntry_name(entries[i]);
    const char* const value = rd_kafka_ConfigEntry_value(entries[i]);
    if (value == nullptr) continue;  // not shown to us
    settings.all.emplace(name, value);
    if (rd_kafka_ConfigEntry_source(entries[i]) == RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG)
      settings.own.emplace(name, value);
  }
  return settings;
}

}  // namespace

Result<void> create_topic(rd_kafka_t* client, const TopicPlan& plan) {
  Text text{};
  const NewTopic topic(rd_kafka_NewTopic_new(plan.name.c_str(), static_cast<int>(plan.partitions),
                                             plan.replication, text.data(), text.size()));
  if (!topic) return fail(Errc::invalid, "topic {}: {}", plan.name, text.data());
  for (const auto& [name, value] : plan.config)
    rd_kafka_NewTopic_set_config(topic.get(), name.c_str(), value.c_str());
  std::array topics = {topic.get()};
  SLUICE_TRY_ASSIGN(const Event event,
                    ask(client, RD_KAFKA_ADMIN_OP_CREATETOPICS, plan.name,
                        [&](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
                          rd_kafka_CreateTopics(client, topics.data(), topics.size(), options,
                                                queue);
                        }));
  std::size_t count = 0;
  const auto** results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
  return check_topic_results(results, count, plan.name);
}

Result<void> delete_topic(rd_kafka_t* client, const std::string& name) {
  const DeleteTopic topic(rd_kafka_DeleteTopic_new(name.c_str()));
  std::array topics = {topic.get()};
  SLUICE_TRY_ASSIGN(const Event event,
                    ask(client, RD_KAFKA_ADMIN_OP_DELETETOPICS, name,
                        [&](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
                          rd_kafka_DeleteTopics(client, topics.data(), topics.size(), options,
                                                queue);
                        }));
  std::size_t count = 0;
  const auto** results =
      rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event.get()), &count);
  return check_topic_results(results, count, name);
}

Result<void> add_partitions(rd_kafka_t* client, const std::string& name, std::uint32_t partitions) {
  Text text{};
  const NewPartitions grown(
      rd_kafka_NewPartitions_new(name.c_str(), partitions, text.data(), text.size()));
  if (!grown) return fail(Errc::invalid, "topic {}: {}", name, text.data());
  std::array topics = {grown.get()};
  SLUICE_TRY_ASSIGN(const Event event,
                    ask(client, RD_KAFKA_ADMIN_OP_CREATEPARTITIONS, name,
                        [&](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
                          rd_kafka_CreatePartitions(client, topics.data(), topics.size(), options,
                                                    queue);
                        }));
  std::size_t count = 0;
  const auto** results = rd_kafka_CreatePartitions_result_topics(
      rd_kafka_event_CreatePartitions_result(event.get()), &count);
  return check_topic_results(results, count, name);
}

// librdkafka 2.0.2 knows only the request that replaces all settings at once.
Result<void> alter_topic_config(rd_kafka_t* client, const std::string& name,
                                const TopicConfig& config) {
  SLUICE_TRY_ASSIGN(const auto described, describe_topics(client, {name}));
  const auto found = described.find(name);
  if (found == described.end()) return fail(Errc::not_found, "topic {} is not there", name);
  TopicConfig all = config;
  all.insert(found->second.own.begin(), found->second.own.end());

  const ConfigResource resource(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name.c_str()));
  for (const auto& [key, value] : all)
    rd_kafka_ConfigResource_set_config(resource.get(), key.c_str(), value.c_str());
  std::array resources = {resource.get()};
  SLUICE_TRY_ASSIGN(const Event event,
                    ask(client, RD_KAFKA_ADMIN_OP_ALTERCONFIGS, name,
                        [&](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
                          rd_kafka_AlterConfigs(client, resources.data(), resources.size(), options,
                                                queue);
                        }));
  std::size_t count = 0;
  const auto** results = rd_kafka_AlterConfigs_result_resources(
      rd_kafka_event_AlterConfigs_result(event.get()), &count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto error = rd_kafka_ConfigResource_error(results[i]);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
      return std::unexpected(
          admin_error(error, name, rd_kafka_ConfigResource_error_string(results[i])));
  }
  return {};
}

Result<std::map<std::string, TopicSettings>> describe_topics(
    rd_kafka_t* client, const std::vector<std::string>& names) {
  std::map<std::string, TopicSettings> settings;
  if (names.empty()) return settings;
  std::vector<ConfigResource> resources;
  std::vector<rd_kafka_ConfigResource_t*> asked;
  for (const auto& name : names) {
    resources.emplace_back(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name.c_str()));
    asked.push_back(resources.back().get());
  }
  SLUICE_TRY_ASSIGN(const Event event,
                    ask(client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, "settings of topics",
                        [&](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
                          rd_kafka_DescribeConfigs(client, asked.data(), asked.size(), options,
                                                   queue);
                        }));
  std::size_t count = 0;
  const auto** results = rd_kafka_DescribeConfigs_result_resources(
      rd_kafka_event_DescribeConfigs_result(event.get()), &count);
  for (std::size_t i = 0; i < count; ++i) {
    if (rd_kafka_ConfigResource_error(results[i]) != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
    settings.emplace(rd_kafka_ConfigResource_name(results[i]), settings_of(results[i]));
  }
  return settings;
}

Result<Offset> delete_records(rd_kafka_t* client, const Place& place, Offset before) {
  const PartitionList list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), place.topic.c_str(),
                                    static_cast<std::int32_t>(place.partition))
      ->offset = before.value;
  const DeleteRecords request(rd_kafka_DeleteRecords_new(list.get()));
  std::array requests = {request.get()};
  SLUICE_TRY_ASSIGN(const Event event,
                    ask(client, RD_KAFKA_ADMIN_OP_DELETERECORDS, to_string(place),
                        [&](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
                          rd_kafka_DeleteRecords(client, requests.data(), requests.size(), options,
                                                 queue);
                        }));
  const auto* const offsets =
      rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event.get()));
  if (offsets == nullptr || offsets->cnt != 1)
    return fail(Errc::io, "{}: an answer for another partition", to_string(place));
  const auto& answer = offsets->elems[0];
  if (answer.err != RD_KAFKA_RESP_ERR_NO_ERROR)
    return std::unexpected(error_of(answer.err, to_string(place)));
  return Offset{answer.offset};
}

Result<ClusterState> query_cluster(rd_kafka_t* client) {
  const struct rd_kafka_metadata* answer = nullptr;
  const auto error = rd_kafka_metadata(client, 1, nullptr, &answer, milliseconds(request_timeout));
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
    return std::unexpected(error_of(error, "no broker answers"));
  const std::unique_ptr<const struct rd_kafka_metadata, Destroy<rd_kafka_metadata_destroy>>
      metadata(answer);
  ClusterState state;
  for (int i = 0; i < metadata->broker_cnt; ++i) {
    const auto& broker = metadata->brokers[i];
    state.brokers.emplace(broker.id, fmt::format("{}:{}", broker.host, broker.port));
  }
  for (int i = 0; i < metadata->topic_cnt; ++i) {
    const auto& topic = metadata->topics[i];
    std::vector<PartitionState> partitions(static_cast<std::size_t>(topic.partition_cnt));
    for (int p = 0; p < topic.partition_cnt; ++p) {
      const auto& partition = topic.partitions[p];
      const auto index = static_cast<std::size_t>(partition.id);
      if (index >= partitions.size()) continue;
      partitions[index] = {partition.leader >= 0, static_cast<std::uint32_t>(partition.isr_cnt)};
    }
    state.topics.emplace(topic.topic, std::move(partitions));
  }
  return state;
}

}  // namespace sluice::kafka_stream
