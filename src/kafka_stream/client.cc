#include "kafka_stream/client.h"

#include <syslog.h>

#include <array>
#include <mutex>

#include "base/logger.h"

namespace sluice::kafka_stream {
namespace {

constexpr Logger logger("kafka_cluster");

using Config = std::unique_ptr<rd_kafka_conf_t, Destroy<rd_kafka_conf_destroy>>;

// Called by librdkafka's threads. An unreachable cluster makes it say the same again and again.
void on_log(const rd_kafka_t* /*client*/, int level, const char* facility, const char* text) {
  static std::mutex mutex;
  static LogLimit limit(5);
  std::uint64_t suppressed = 0;
  {
    const std::lock_guard lock(mutex);
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    if (!limit.allow(std::chrono::duration_cast<std::chrono::milliseconds>(now).count())) return;
    suppressed = limit.take_suppressed();
  }
  const Logger::Fields fields = {
      {"facility", facility}, {"text", text}, {"suppressed", suppressed}};
  if (level <= LOG_WARNING) {
    logger.warn("the client library says", fields);
  } else {
    logger.debug("the client library says", fields);
  }
}

Result<void> set(rd_kafka_conf_t* config, const std::string& name, const std::string& value) {
  std::array<char, 512> text{};
  if (rd_kafka_conf_set(config, name.c_str(), value.c_str(), text.data(), text.size()) ==
      RD_KAFKA_CONF_OK)
    return {};
  return fail(Errc::invalid, "kafka_cluster: property {}: {}", name, text.data());
}

Result<Client> make(rd_kafka_type_t type, const Options& options, const Properties& properties) {
  Config config(rd_kafka_conf_new());
  const Properties defaults = {
      {"client.id", "sluice"},
      {"socket.timeout.ms", "10000"},
      {"socket.connection.setup.timeout.ms", "5000"},
      {"socket.keepalive.enable", "true"},
      {"socket.nagle.disable", "true"},
      {"reconnect.backoff.ms", "50"},
      {"reconnect.backoff.max.ms", "1000"},
      {"topic.metadata.refresh.interval.ms", "10000"},
  };
  const Properties needed = {{"bootstrap.servers", options.brokers},
                             {"allow.auto.create.topics", "false"}};
  for (const auto* list : {&defaults, &options.properties, &needed, &properties})
    for (const auto& [name, value] : *list) SLUICE_TRY(set(config.get(), name, value));
  rd_kafka_conf_set_log_cb(config.get(), on_log);
  if (type == RD_KAFKA_PRODUCER) rd_kafka_conf_set_events(config.get(), RD_KAFKA_EVENT_DR);

  std::array<char, 512> text{};
  Client client(rd_kafka_new(type, config.get(), text.data(), text.size()));
  if (!client) return fail(Errc::invalid, "kafka_cluster: {}", text.data());
  static_cast<void>(config.release());  // the client's now
  return client;
}

}  // namespace

Result<Client> make_producer(const Options& options, const Properties& properties) {
  return make(RD_KAFKA_PRODUCER, options, properties);
}

Result<Client> make_consumer(const Options& options, const Properties& properties) {
  return make(RD_KAFKA_CONSUMER, options, properties);
}

Topic make_topic(rd_kafka_t* client, const std::string& name) {
  return Topic(rd_kafka_topic_new(client, name.c_str(), nullptr));
}

Error error_of(rd_kafka_resp_err_t code, std::string_view what) {
  const auto as = [&](Errc errc) {
    return Error{errc, fmt::format("{}: {}", what, rd_kafka_err2str(code))};
  };
  switch (code) {
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
      return as(Errc::not_found);
    case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
      return as(Errc::exists);
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
    case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
    case RD_KAFKA_RESP_ERR_INVALID_REQUEST:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
      return as(Errc::invalid);
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
      return as(Errc::too_large);
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
      return as(Errc::out_of_range);
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
      return as(Errc::unauthorized);
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
    case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
    case RD_KAFKA_RESP_ERR__DESTROY:
      return as(Errc::closed);
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
      return as(Errc::busy);
    default:
      return as(Errc::io);
  }
}

}  // namespace sluice::kafka_stream
