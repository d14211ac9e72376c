#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace sluice {

// The place of a record in its partition. Also used for "next": the next offset that somebody
// wants, never the last one seen.
struct Offset {
  std::int64_t value = 0;
  friend auto operator<=>(const Offset&, const Offset&) = default;
  friend Offset operator+(Offset offset, std::int64_t count) { return {offset.value + count}; }
  friend std::int64_t operator-(Offset a, Offset b) { return a.value - b.value; }
};

// One life of a stream: a stream deleted and created again under the same name has another id.
// Never 0.
struct StreamId {
  std::uint64_t value = 0;
  friend auto operator<=>(const StreamId&, const StreamId&) = default;
};

struct Partition {
  StreamId stream;
  std::uint32_t index = 0;
  friend auto operator<=>(const Partition&, const Partition&) = default;
};

struct ShardId {
  std::uint32_t value = 0;
  friend auto operator<=>(const ShardId&, const ShardId&) = default;
};

// Milliseconds since 1970-01-01 UTC, as record timestamps count.
using WallMs = std::int64_t;

}  // namespace sluice

template <>
struct std::hash<sluice::Partition> {
  std::size_t operator()(const sluice::Partition& p) const noexcept {
    return (p.stream.value + p.index) * 0x9e3779b97f4a7c15ull;
  }
};
template <>
struct std::hash<sluice::StreamId> {
  std::size_t operator()(const sluice::StreamId& id) const noexcept {
    return id.value * 0x9e3779b97f4a7c15ull;
  }
};
