#include "kafka_stream/names.h"

namespace sluice::kafka_stream {
namespace {

constexpr std::string_view internal_prefix = "__";
constexpr std::string_view topic_prefix = "__sluice_";
constexpr std::uint64_t first_free_id = 2;  // 0 is none, 1 the embedded log's catalogue

// FNV-1a: its values are part of what the cluster holds (`__retained` has stream ids in its keys).
std::uint64_t fnv1a(std::string_view text, std::uint64_t hash = 0xcbf29ce484222325ull) {
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3ull;
  }
  return hash;
}

}  // namespace

bool is_internal(std::string_view stream) { return stream.starts_with(internal_prefix); }

std::string topic_of(std::string_view stream) {
  if (!is_internal(stream)) return std::string(stream);
  return std::string(topic_prefix) + std::string(stream.substr(internal_prefix.size()));
}

std::optional<std::string> stream_of(std::string_view topic) {
  if (topic == notes_topic) return std::nullopt;
  if (topic.starts_with(topic_prefix))
    return std::string(internal_prefix) + std::string(topic.substr(topic_prefix.size()));
  if (topic.starts_with(internal_prefix)) return std::nullopt;
  return std::string(topic);
}

StreamId stream_id(std::string_view stream, std::uint64_t life) {
  const std::uint64_t hash = fnv1a(stream);
  if (is_internal(stream)) return {first_free_id + hash % (internal_stream_ids - first_free_id)};
  const std::uint64_t id = life == 0 ? hash : fnv1a("#" + std::to_string(life), hash);
  return {id < internal_stream_ids ? id + internal_stream_ids : id};
}

}  // namespace sluice::kafka_stream
