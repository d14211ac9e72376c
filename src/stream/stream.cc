#include "stream/stream.h"

#include <algorithm>

#include "base/assert.h"

namespace sluice::stream {
namespace {

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

}  // namespace

Result<void> validate_stream_name(std::string_view name) {
  constexpr std::size_t name_size_max = 249;  // Kafka: a file name with "-<partition>" behind it
  if (name.empty()) return fail(Errc::invalid, "a stream name may not be empty");
  if (name.size() > name_size_max) {
    return fail(Errc::invalid, "a stream name of {} characters: at most {} are allowed",
                name.size(), name_size_max);
  }
  if (name == "." || name == "..") {
    return fail(Errc::invalid, "\"{}\" may not be a stream name", name);
  }
  if (!std::ranges::all_of(name, is_name_character)) {
    return fail(Errc::invalid,
                "stream name \"{}\": only a-z, A-Z, 0-9, '.', '_' and '-' are allowed", name);
  }
  return {};
}

const StreamInfo* Catalogue::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &found->second;
}

const StreamInfo* Catalogue::find(StreamId id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

void Catalogue::add(StreamInfo stream) {
  std::string name = stream.name;
  const auto [added, is_new] = by_name_.emplace(std::move(name), std::move(stream));
  SLUICE_ASSERT(is_new);
  by_id_.emplace(added->second.id, &added->second);
  ++generation_;
}

void Catalogue::change(std::string_view name, const StreamConfig& config) {
  const auto found = by_name_.find(name);
  SLUICE_ASSERT(found != by_name_.end());
  found->second.config = config;
  ++generation_;
}

void Catalogue::remove(std::string_view name) {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return;
  by_id_.erase(found->second.id);
  by_name_.erase(found);
  ++generation_;
}

}  // namespace sluice::stream
