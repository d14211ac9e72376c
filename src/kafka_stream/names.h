#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace sluice::kafka_stream {

// The topic in which the backend keeps what a topic of Kafka cannot hold about a stream
// (stream_notes.h).
constexpr std::string_view notes_topic = "__sluice_streams";

// The topic of a stream: of the same name, but for sluice's own streams, which begin with "__":
// `__retained` lies in `__sluice_retained`.
std::string topic_of(std::string_view stream);
// The stream that a topic holds. Nothing for topics that are no streams here: Kafka's own and all
// others that begin with "__", and the notes.
std::optional<std::string> stream_of(std::string_view topic);
bool is_internal(std::string_view stream);

// The same on each start and every node. `life` counts how often a topic of this name was seen to
// be removed.
StreamId stream_id(std::string_view stream, std::uint64_t life);

}  // namespace sluice::kafka_stream
