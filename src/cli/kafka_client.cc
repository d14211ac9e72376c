#include "cli/kafka_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/nearest.h"

namespace sluice::cli {
namespace {

constexpr int timeout_ms = 10'000;

using ErrorText = std::array<char, 512>;

// The single answer of a CreateTopics or DeleteTopics request for one topic.
Result<void> check_topic_results(std::string_view what, const rd_kafka_topic_result_t** topics,
                                 std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const rd_kafka_resp_err_t code = rd_kafka_topic_result_error(topics[i]);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) continue;
    const char* text = rd_kafka_topic_result_error_string(topics[i]);
    return kafka_error(what, code, text == nullptr ? "" : text);
  }
  return {};
}

std::string bytes_of(const void* data, std::size_t size) {
  return {static_cast<const char*>(data), size};
}

TailedRecord to_record(const rd_kafka_message_t& message) {
  TailedRecord record;
  record.partition = message.partition;
  record.offset = message.offset;
  record.timestamp_ms = rd_kafka_message_timestamp(&message, nullptr);
  record.has_key = message.key != nullptr;
  if (record.has_key) record.key = bytes_of(message.key, message.key_len);
  if (message.payload != nullptr) record.payload = bytes_of(message.payload, message.len);

  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return record;
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  for (std::size_t i = 0;
       rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i)
    record.headers.emplace_back(name, value == nullptr ? "" : bytes_of(value, size));
  return record;
}

}  // namespace

std::unexpected<Error> kafka_error(std::string_view what, rd_kafka_resp_err_t code,
                                   std::string_view text) {
  const Errc errc = code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS    ? Errc::exists
                    : code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ? Errc::not_found
                                                                      : Errc::io;
  return fail(errc, "{}: {}", what, text.empty() ? rd_kafka_err2str(code) : text);
}

KafkaClient::KafkaClient(rd_kafka_t* client, std::unique_ptr<Trouble> trouble)
    : trouble_(std::move(trouble)), client_(client), queue_(rd_kafka_queue_new(client)) {}

Result<KafkaClient> KafkaClient::open(const HostPort& address, const Login& login) {
  const bool tls = !login.ca_file.empty();
  const bool sasl = !login.user.empty();
  std::vector<std::pair<const char*, std::string>> settings{
      {"bootstrap.servers", to_string(address)},
      {"client.id", "sluice"},
      {"enable.partition.eof", "true"},
      {"allow.auto.create.topics", "false"},
      {"security.protocol", fmt::format("{}{}", sasl ? "sasl_" : "", tls ? "ssl" : "plaintext")},
  };
  if (tls) settings.emplace_back("ssl.ca.location", login.ca_file);
  if (sasl) {
    settings.emplace_back("sasl.mechanism", "SCRAM-SHA-256");
    settings.emplace_back("sasl.username", login.user);
    settings.emplace_back("sasl.password", login.password);
  }
  ErrorText text{};
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set_log_cb(conf, nullptr);
  auto trouble = std::make_unique<Trouble>();
  rd_kafka_conf_set_opaque(conf, trouble.get());
  rd_kafka_conf_set_error_cb(conf, [](rd_kafka_t*, int code, const char* what, void* opaque) {
    if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
      *static_cast<Trouble*>(opaque) = {static_cast<rd_kafka_resp_err_t>(code), what};
  });
  for (const auto& [name, value] : settings) {
    if (rd_kafka_conf_set(conf, name, value.c_str(), text.data(), text.size()) == RD_KAFKA_CONF_OK)
      continue;
    rd_kafka_conf_destroy(conf);
    return fail(Errc::io, "{}", text.data());
  }
  rd_kafka_t* client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text.data(), text.size());
  if (client == nullptr) {
    rd_kafka_conf_destroy(conf);
    return fail(Errc::io, "{}", text.data());
  }
  KafkaClient opened(client, std::move(trouble));
  SLUICE_TRY(opened.reach(address, login));
  return opened;
}

Result<void> KafkaClient::reach(const HostPort& address, const Login& login) {
  constexpr int attempt_ms = 250;
  for (int waited_ms = 0; waited_ms < timeout_ms; waited_ms += attempt_ms) {
    const rd_kafka_metadata_t* raw = nullptr;
    if (rd_kafka_metadata(client_.get(), 0, nullptr, &raw, attempt_ms) ==
        RD_KAFKA_RESP_ERR_NO_ERROR) {
      rd_kafka_metadata_destroy(raw);
      return {};
    }
    rd_kafka_poll(client_.get(), 0);
    if (trouble_->code == RD_KAFKA_RESP_ERR__AUTHENTICATION)
      return fail(Errc::unauthorized, "Kafka on {}: the hub refused the login of '{}'",
                  to_string(address), login.user);
    if (trouble_->code == RD_KAFKA_RESP_ERR__TRANSPORT)  // librdkafka guesses at length
      return fail(Errc::io, "Kafka on {}: the hub ended the connection{}", to_string(address),
                  login_hint(login));
    if (trouble_->code != RD_KAFKA_RESP_ERR_NO_ERROR)
      return fail(Errc::io, "Kafka on {}: {}", to_string(address), trouble_->text);
  }
  return fail(Errc::io, "Kafka on {}: no answer within {} s{}", to_string(address),
              timeout_ms / 1000, login_hint(login));
}

Result<std::vector<StreamSummary>> KafkaClient::streams() {
  const rd_kafka_metadata_t* raw = nullptr;
  const auto code = rd_kafka_metadata(client_.get(), 1, nullptr, &raw, timeout_ms);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return kafka_error("list of streams", code);
  const Handle<const rd_kafka_metadata_t, rd_kafka_metadata_destroy> metadata(raw);

  std::vector<StreamSummary> streams;
  for (const auto& topic :
       std::span(metadata->topics, static_cast<std::size_t>(metadata->topic_cnt)))
    streams.push_back({topic.topic, topic.partition_cnt});
  std::ranges::sort(streams, {}, &StreamSummary::name);
  return streams;
}

Result<StreamSummary> KafkaClient::stream(std::string_view name) {
  SLUICE_TRY_ASSIGN(auto all, streams());
  std::vector<std::string_view> names;
  for (StreamSummary& stream : all) {
    if (stream.name == name) return std::move(stream);
    names.push_back(stream.name);
  }
  const std::string_view guess = nearest(name, names);
  return fail(Errc::not_found, "there is no stream '{}'{}", name,
              guess.empty() ? "" : fmt::format("; did you mean '{}'?", guess));
}

Result<KafkaClient::Event> KafkaClient::wait_for(std::string_view what) {
  Event event(rd_kafka_queue_poll(queue_.get(), timeout_ms));
  if (!event) return fail(Errc::io, "{}: no answer within {} s", what, timeout_ms / 1000);
  if (const auto code = rd_kafka_event_error(event.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return kafka_error(what, code, rd_kafka_event_error_string(event.get()));
  return event;
}

Result<void> KafkaClient::create(const std::string& name, std::int32_t partitions,
                                 std::span<const std::pair<std::string, std::string>> settings) {
  const std::string what = fmt::format("stream '{}'", name);
  ErrorText text{};
  const Handle<rd_kafka_NewTopic_t, rd_kafka_NewTopic_destroy> topic(
      rd_kafka_NewTopic_new(name.c_str(), partitions, 1, text.data(), text.size()));
  if (!topic) return fail(Errc::invalid, "{}: {}", what, text.data());
  for (const auto& [setting, value] : settings)
    rd_kafka_NewTopic_set_config(topic.get(), setting.c_str(), value.c_str());

  std::array topics{topic.get()};
  rd_kafka_CreateTopics(client_.get(), topics.data(), topics.size(), nullptr, queue_.get());
  SLUICE_TRY_ASSIGN(const Event event, wait_for(what));
  std::size_t count = 0;
  const auto** results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
  return check_topic_results(what, results, count);
}

Result<void> KafkaClient::remove(const std::string& name) {
  const std::string what = fmt::format("stream '{}'", name);
  const Handle<rd_kafka_DeleteTopic_t, rd_kafka_DeleteTopic_destroy> topic(
      rd_kafka_DeleteTopic_new(name.c_str()));
  std::array topics{topic.get()};
  rd_kafka_DeleteTopics(client_.get(), topics.data(), topics.size(), nullptr, queue_.get());
  SLUICE_TRY_ASSIGN(const Event event, wait_for(what));
  std::size_t count = 0;
  const auto** results =
      rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event.get()), &count);
  return check_topic_results(what, results, count);
}

Result<std::vector<StreamSetting>> KafkaClient::settings(const std::string& name) {
  const std::string what = fmt::format("settings of stream '{}'", name);
  const Handle<rd_kafka_ConfigResource_t, rd_kafka_ConfigResource_destroy> resource(
      rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name.c_str()));
  std::array resources{resource.get()};
  rd_kafka_DescribeConfigs(client_.get(), resources.data(), resources.size(), nullptr,
                           queue_.get());
  SLUICE_TRY_ASSIGN(const Event event, wait_for(what));

  std::size_t count = 0;
  const auto** answers = rd_kafka_DescribeConfigs_result_resources(
      rd_kafka_event_DescribeConfigs_result(event.get()), &count);
  std::vector<StreamSetting> settings;
  for (const auto* answer : std::span(answers, count)) {
    if (const auto code = rd_kafka_ConfigResource_error(answer); code != RD_KAFKA_RESP_ERR_NO_ERROR)
      return kafka_error(what, code);
    std::size_t entries = 0;
    const auto** configs = rd_kafka_ConfigResource_configs(answer, &entries);
    for (const auto* entry : std::span(configs, entries)) {
      const char* value = rd_kafka_ConfigEntry_value(entry);
      settings.push_back({rd_kafka_ConfigEntry_name(entry), value == nullptr ? "" : value,
                          rd_kafka_ConfigEntry_is_default(entry) != 0});
    }
  }
  std::ranges::sort(settings, {}, &StreamSetting::name);
  return settings;
}

Result<Watermarks> KafkaClient::watermarks(const std::string& name, std::int32_t partition) {
  Watermarks out;
  const auto code = rd_kafka_query_watermark_offsets(client_.get(), name.c_str(), partition,
                                                     &out.start, &out.end, timeout_ms);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return kafka_error(fmt::format("offsets of {}, partition {}", name, partition), code);
  return out;
}

Result<std::int64_t> KafkaClient::offset_at(const std::string& name, std::int32_t partition,
                                            std::int64_t when_ms) {
  const Handle<rd_kafka_topic_partition_list_t, rd_kafka_topic_partition_list_destroy> list(
      rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), name.c_str(), partition)->offset = when_ms;
  auto code = rd_kafka_offsets_for_times(client_.get(), list.get(), timeout_ms);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) code = list->elems[0].err;
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return kafka_error(fmt::format("offset by time of {}, partition {}", name, partition), code);
  if (list->elems[0].offset >= 0) return list->elems[0].offset;
  SLUICE_TRY_ASSIGN(const Watermarks marks, watermarks(name, partition));
  return marks.end;
}

Result<void> KafkaClient::start_tail(
    const std::string& name, std::span<const std::pair<std::int32_t, std::int64_t>> starts) {
  tailed_.reset(rd_kafka_topic_new(client_.get(), name.c_str(), nullptr));
  if (!tailed_) return kafka_error(name, rd_kafka_last_error());
  // The plain consumer, not rd_kafka_assign: that one looks for a group's coordinator, and there is
  // no group here.
  for (const auto& [partition, offset] : starts)
    if (rd_kafka_consume_start_queue(tailed_.get(), partition, offset, queue_.get()) != 0)
      return kafka_error(name, rd_kafka_last_error());
  return {};
}

Result<TailEvent> KafkaClient::next(int wait_ms) {
  const Handle<rd_kafka_message_t, rd_kafka_message_destroy> message(
      rd_kafka_consume_queue(queue_.get(), wait_ms));
  if (!message) return TailEvent{};
  if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
    TailEvent end{TailEvent::Kind::partition_end, {}};
    end.record.partition = message->partition;
    return end;
  }
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
    return kafka_error("reading", message->err, rd_kafka_message_errstr(message.get()));
  return TailEvent{TailEvent::Kind::record, to_record(*message)};
}

Result<KafkaClient> open_kafka(const Arguments& arguments) {
  constexpr std::uint16_t default_port = 9092;
  SLUICE_TRY_ASSIGN(const HostPort address, find_hub(arguments, "kafka", default_port));
  SLUICE_TRY_ASSIGN(const Login login, login_of(arguments));
  return KafkaClient::open(address, login);
}

}  // namespace sluice::cli
