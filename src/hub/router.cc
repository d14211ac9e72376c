#include "hub/router.h"

#include "base/bytes.h"
#include "base/hash.h"
#include "topic/topic.h"

namespace sluice::hub {

namespace {

constexpr std::size_t cache_places = 4096;     // a power of two
constexpr std::size_t cached_topic_max = 256;  // longer topics are looked up each time

std::string_view first_level(std::string_view topic) { return topic.substr(0, topic.find('/')); }

}  // namespace

Router::Router(const stream::Catalogue& catalogue, std::string default_stream)
    : catalogue_(catalogue), default_stream_(std::move(default_stream)), cache_(cache_places) {}

Result<Route> Router::route(std::string_view topic) {
  const std::uint64_t hash = hash64(as_bytes(topic));
  Cached& cached = cache_[hash & (cache_places - 1)];
  const std::uint64_t generation = catalogue_.generation() + 1;
  if (cached.generation == generation && cached.hash == hash && cached.topic == topic)
    return cached.route;
  auto route = find_route(topic);
  if (route && topic.size() <= cached_topic_max)
    cached = {std::string(topic), hash, generation, *route};
  return route;
}

Result<Route> Router::find_route(std::string_view topic) const {
  SLUICE_TRY(topic::validate_topic_name(topic));
  const std::string_view level = first_level(topic);
  const stream::StreamInfo* stream = nullptr;
  std::string_view key = topic;
  if (level.size() < topic.size() && level != default_stream_) {
    stream = catalogue_.find(level);
    if (stream && stream->config.internal) stream = nullptr;
    if (stream) key.remove_prefix(level.size() + 1);
  }
  if (!stream) stream = catalogue_.find(default_stream_);
  if (!stream)
    return fail(Errc::not_found, "the default stream '{}' does not exist", default_stream_);
  const Bytes bytes = as_bytes(key);
  return Route{.partition = {stream->id, partition_of_key(bytes, stream->config.partitions)},
               .key_at = static_cast<std::uint32_t>(topic.size() - key.size()),
               .key_hash = static_cast<std::uint32_t>(hash64(bytes)),
               .batch_max = stream->config.max_message_bytes};
}

std::string Router::prefix_of(const stream::StreamInfo& stream) const {
  return is_default(stream.name) ? std::string() : stream.name + '/';
}

Result<Partition> Router::partition_of(std::string_view topic) {
  SLUICE_TRY_ASSIGN(const Route found, route(topic));
  return found.partition;
}

std::string Router::filter_of(std::string_view stream, std::string_view keys) const {
  if (is_default(stream)) return std::string(keys);
  return std::string(stream).append("/").append(keys);
}

bool Router::covers(std::string_view filter, const stream::StreamInfo& stream) const {
  if (stream.config.internal) return false;
  if (is_default(stream.name)) return true;
  const std::string_view level = first_level(filter);
  if (level == "+" || level == "#") return stream.config.wildcard;
  return level == stream.name && level.size() < filter.size();
}

std::vector<const stream::StreamInfo*> Router::covered_by(std::string_view filter) const {
  std::vector<const stream::StreamInfo*> streams;
  const auto add_if_covered = [&](const stream::StreamInfo* stream) {
    if (stream && covers(filter, *stream)) streams.push_back(stream);
  };
  const std::string_view level = first_level(filter);
  if (level == "+" || level == "#") {
    for (const auto& [name, stream] : catalogue_.all()) add_if_covered(&stream);
  } else {
    add_if_covered(catalogue_.find(default_stream_));
    if (level != default_stream_) add_if_covered(catalogue_.find(level));
  }
  return streams;
}

}  // namespace sluice::hub
