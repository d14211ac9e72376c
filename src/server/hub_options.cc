#include "server/hub_options.h"

#include <algorithm>
#include <chrono>
#include <ranges>
#include <utility>

namespace sluice::server {
namespace {

// Of a stream that says nothing else. A zero means no limit in the configuration, -1 in a stream's
// settings.
stream::StreamConfig stream_defaults(const Config& config) {
  const auto limit = [](std::int64_t value) { return value == 0 ? -1 : value; };
  stream::StreamConfig defaults;
  defaults.partitions = static_cast<std::uint32_t>(config.log.partitions);
  defaults.retention_ms = limit(config.log.retention.count());
  defaults.retention_bytes = limit(static_cast<std::int64_t>(config.log.retention_bytes));
  defaults.segment_bytes = static_cast<std::int64_t>(config.log.segment_size);
  defaults.max_message_bytes = static_cast<std::int64_t>(config.kafka.request_max);
  return defaults;
}

mqtt::RateAction rate_action_of(std::string_view name) {
  if (name == "drop") return mqtt::RateAction::drop;
  if (name == "disconnect") return mqtt::RateAction::disconnect;
  return mqtt::RateAction::throttle;
}

mqtt::Limits limits_of(const Config::MqttLimits& config) {
  using std::chrono::ceil;
  using std::chrono::floor;
  using std::chrono::seconds;
  mqtt::Limits limits;
  limits.packet_max = config.packet_max;
  limits.receive_maximum = static_cast<std::uint16_t>(config.receive_maximum);
  limits.max_inflight = static_cast<std::uint16_t>(config.max_inflight);
  limits.topic_alias_max = static_cast<std::uint16_t>(config.topic_alias_max);
  limits.client_id_max = static_cast<std::size_t>(config.client_id_max);
  limits.subscriptions_max = static_cast<std::uint16_t>(config.subscriptions_max);
  limits.output_max = config.output_max;
  limits.lag = {.any = {.bytes = config.session_lag_bytes, .age = config.session_lag_age},
                .qos0 = {.bytes = config.qos0_lag_bytes, .age = config.qos0_lag_age}};
  const auto will_delay = floor<seconds>(config.will_delay_max);
  limits.will_delay_max_s = static_cast<std::uint32_t>(will_delay.count());
  const auto session_expiry = ceil<seconds>(config.session_expiry_max);
  limits.session_expiry_max_s = static_cast<std::uint32_t>(session_expiry.count());
  limits.offline_qos0 = config.offline_qos0;
  limits.delay_max_s = static_cast<std::uint32_t>(floor<seconds>(config.delay_max).count());
  const auto keep_alive = ceil<seconds>(config.keep_alive_max);
  limits.keep_alive_max_s = static_cast<std::uint16_t>(keep_alive.count());
  limits.connect_timeout = ceil<seconds>(config.connect_timeout);
  limits.client_rates = {.messages = static_cast<std::uint64_t>(config.client_message_rate),
                         .bytes = config.client_byte_rate};
  limits.rate_action = rate_action_of(config.rate_action);
  limits.check_payload_format = config.check_payload_format;
  limits.response_information = config.response_information;
  limits.server_reference = config.server_reference;
  return limits;
}

}  // namespace

std::uint32_t shard_count(const Config& config, unsigned processors) {
  if (config.server.shards != 0) return static_cast<std::uint32_t>(config.server.shards);
  return processors <= 2 ? 1 : std::min(processors, 64u);
}

log::Options log_options(const Config& config) {
  log::Options options;
  options.direct_io = config.log.direct_io;
  options.compaction_map_size = config.log.compaction_map;
  options.key_index_memory = config.log.key_index_memory;
  options.durability =
      config.log.durability == "disk" ? log::Durability::disk : log::Durability::os;
  options.segment_size = config.log.segment_size;
  options.journal_size = config.log.journal_size;
  options.journal_files = static_cast<std::uint32_t>(config.log.journal_files);
  options.tail_cache_size = config.log.tail_cache;
  options.read_cache_size = config.log.read_cache;
  options.retention_interval = config.log.retention_interval;
  options.checkpoint_interval = config.log.checkpoint_interval;
  return options;
}

Result<kafka_stream::Options> cluster_options(const Config& config) {
  kafka_stream::Options options;
  options.brokers = config.kafka_cluster.brokers;
  options.buffer = config.kafka_cluster.buffer;
  options.timeout = config.kafka_cluster.timeout;
  options.replication = static_cast<std::int32_t>(config.kafka_cluster.replication);
  if (config.kafka_cluster.properties_file.empty()) return options;
  SLUICE_TRY_ASSIGN(options.properties,
                    kafka_stream::read_properties_file(config.kafka_cluster.properties_file));
  return options;
}

hub::Options hub_options(const Config& config) {
  hub::Options options;
  options.default_stream_config = stream_defaults(config);
  options.default_stream_config.partitions = 1;  // plain MQTT has one order over all topics
  options.default_stream_config.wildcard = true;
  return options;
}

mqtt::Options mqtt_options(const Config& config) {
  mqtt::Options options;
  options.limits = limits_of(config.mqtt.limits);
  for (const auto origin : std::views::split(config.mqtt.ws_origins, ','))
    if (!origin.empty()) options.websocket_origins.emplace_back(origin.begin(), origin.end());
  return options;
}

// What is left is for the log's files, other faces, and those who are told that there is no place.
std::uint64_t mqtt_connections_max(const Config& config, std::uint64_t descriptors) {
  if (config.mqtt.connections_max != 0)
    return static_cast<std::uint64_t>(config.mqtt.connections_max);
  return descriptors - descriptors / 10;
}

mqtt::ListenerOptions mqtt_listener_options(const Config& config, const ListenerPlan& plan) {
  mqtt::ListenerOptions options{.name = plan.name, .transport = plan.transport};
  options.limits = limits_of(plan.own_table ? plan.own_table->limits : config.mqtt.limits);
  if (plan.own_table == nullptr) return options;
  options.proxy_protocol = plan.own_table->proxy_protocol == "required";
  options.connections_max = static_cast<std::uint64_t>(plan.own_table->connections_max);
  options.rates = {.messages = static_cast<std::uint64_t>(plan.own_table->message_rate),
                   .bytes = plan.own_table->byte_rate};
  return options;
}

kafka::Options kafka_options(const Config& config, std::string cluster_id) {
  kafka::Options options;
  options.cluster_id = std::move(cluster_id);
  options.request_max = config.kafka.request_max;
  options.connections_max_idle = config.kafka.idle_timeout;
  options.auto_create = config.kafka.auto_create;
  options.auto_create_max = static_cast<std::uint32_t>(config.kafka.auto_create_max);
  options.default_config = stream_defaults(config);
  options.advertised = config.kafka.advertised;
  options.tls_advertised = config.kafka.tls_advertised;
  options.mqtt_stream = hub::Options{}.default_stream;
  options.groups.initial_rebalance_delay = config.kafka.group_initial_rebalance_delay;
  options.groups.offsets_retention = config.kafka.offsets_retention;
  return options;
}

}  // namespace sluice::server
