#pragma once

#include <optional>
#include <string_view>

#include "kafka/error_code.h"
#include "kafka/handlers.h"

namespace sluice::kafka {

constexpr std::int32_t node_id = 0;       // there is one broker, this one
constexpr std::int32_t leader_epoch = 0;  // and its leadership never changes

// A topic id holds the id of the stream, so the one is found from the other; never one of those
// that Kafka reserves.
Uuid topic_id_of(StreamId id);
std::optional<StreamId> stream_id_of(const Uuid& topic_id);

// Names that a client may give to a new topic: those of stream::validate_stream_name but without
// `__` in front, which the hub keeps for itself.
Result<void> validate_new_topic(std::string_view name);

// The partition named by a client, or why it may not have it.
struct FoundPartition {
  ErrorCode error = ErrorCode::none;
  const stream::StreamInfo* stream = nullptr;  // in the catalogue; null after an error
  Partition partition{};
};
FoundPartition find_partition(const Call& call, access::Action action, std::string_view topic,
                              std::int32_t index);

// The stream of MQTT topics that have none of their own (Options::mqtt_stream).
bool is_mqtt_stream(const Options& options, const stream::StreamInfo& stream);

// The settings that a topic has if none is changed.
stream::StreamConfig default_config_of(const Options& options, const stream::StreamInfo& stream);

// Of a partition whose epoch the client claims to know; -1: it does not.
ErrorCode check_leader_epoch(std::int32_t claimed);

}  // namespace sluice::kafka
