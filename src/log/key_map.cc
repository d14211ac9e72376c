#include "log/key_map.h"

#include <algorithm>

#include "base/hash.h"

namespace sluice::log {
namespace {

constexpr std::size_t entries_min = 64;

// A fuller table would be searched for long.
constexpr std::size_t load_limit(std::size_t entries) { return entries - entries / 4; }

}  // namespace

// While it grows by half, the old table and the new one are there.
KeyMap::KeyMap(std::uint64_t bytes_max, Seed seed)
    : entries_max_(std::max<std::size_t>(entries_min, bytes_max * 3 / 5 / sizeof(Entry))),
      seed_(seed),
      entries_(entries_min) {}

bool KeyMap::put(Bytes key, Offset offset) {
  const std::uint64_t a = hash64(key, seed_.a);
  const std::uint64_t b = hash64(key, seed_.b);
  std::size_t place = place_of(a, b);
  if (entries_[place].offset.value < 0) {
    if (size_ >= load_limit(entries_.size())) {
      if (!grow()) return false;
      place = place_of(a, b);
    }
    ++size_;
  }
  entries_[place] = {a, b, offset};
  return true;
}

bool KeyMap::has_newer(Bytes key, Offset offset) const {
  const Entry& entry = entries_[place_of(hash64(key, seed_.a), hash64(key, seed_.b))];
  return entry.offset > offset;
}

// That of the key, or the free one where it belongs.
std::size_t KeyMap::place_of(std::uint64_t a, std::uint64_t b) const {
  auto place = static_cast<std::size_t>((static_cast<__uint128_t>(a) * entries_.size()) >> 64);
  while (entries_[place].offset.value >= 0 && (entries_[place].a != a || entries_[place].b != b))
    place = place + 1 == entries_.size() ? 0 : place + 1;
  return place;
}

bool KeyMap::grow() {
  const std::size_t more = std::min(entries_max_, entries_.size() + entries_.size() / 2);
  if (more <= entries_.size()) return false;
  const auto old = std::exchange(entries_, std::vector<Entry>(more));
  for (const Entry& entry : old)
    if (entry.offset.value >= 0) entries_[place_of(entry.a, entry.b)] = entry;
  return true;
}

}  // namespace sluice::log
