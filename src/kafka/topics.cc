#include "kafka/topics.h"

#include <algorithm>

namespace sluice::kafka {

namespace {
constexpr std::string_view topic_id_tail = "-sluice-";  // the lower half of every topic id
}

Uuid topic_id_of(StreamId id) {
  Uuid uuid;
  store_be<std::uint64_t>(uuid.bytes.data(), id.value);
  std::ranges::copy(as_bytes(topic_id_tail), uuid.bytes.begin() + sizeof id.value);
  return uuid;
}

std::optional<StreamId> stream_id_of(const Uuid& topic_id) {
  const StreamId id{load_be<std::uint64_t>(topic_id.bytes.data())};
  if (topic_id != topic_id_of(id)) return std::nullopt;
  return id;
}

Result<void> validate_new_topic(std::string_view name) {
  SLUICE_TRY(stream::validate_stream_name(name));
  if (name.starts_with("__"))
    return fail(Errc::invalid, "topic names that begin with __ are kept for sluice");
  return {};
}

FoundPartition find_partition(const Call& call, access::Action action, std::string_view topic,
                              std::int32_t index) {
  if (!call.may(action, topic)) return {.error = ErrorCode::topic_authorization_failed};
  const stream::StreamInfo* stream = call.services.stream.catalogue().find(topic);
  if (stream == nullptr || index < 0 ||
      static_cast<std::uint32_t>(index) >= stream->config.partitions) {
    return {.error = ErrorCode::unknown_topic_or_partition};
  }
  return {.stream = stream, .partition = {stream->id, static_cast<std::uint32_t>(index)}};
}

bool is_mqtt_stream(const Options& options, const stream::StreamInfo& stream) {
  return !options.mqtt_stream.empty() && stream.name == options.mqtt_stream;
}

stream::StreamConfig default_config_of(const Options& options, const stream::StreamInfo& stream) {
  stream::StreamConfig config = options.default_config;
  if (is_mqtt_stream(options, stream)) config.wildcard = true;
  return config;
}

ErrorCode check_leader_epoch(std::int32_t claimed) {
  return claimed > leader_epoch ? ErrorCode::unknown_leader_epoch : ErrorCode::none;
}

}  // namespace sluice::kafka
