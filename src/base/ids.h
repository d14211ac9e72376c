#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

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

// A record's place in the log.
struct Position {
  Partition partition;
  Offset offset;
  friend auto operator<=>(const Position&, const Position&) = default;
};

struct ShardId {
  std::uint32_t value = 0;
  friend auto operator<=>(const ShardId&, const ShardId&) = default;
};

// Partitions are spread over a fixed number of slots, and slots over the shards. What belongs
// together (a partition, the table that is folded from it) shares a slot, and so a shard, whatever
// the number of shards.
constexpr std::uint32_t slot_count = 64;
constexpr ShardId shard_of_slot(std::uint32_t slot, std::uint32_t shards) {
  return {slot % shards};
}

// Ids below this one are those of sluice's own streams.
constexpr std::uint64_t internal_stream_ids = 1 << 16;

// Of sluice's own streams partition i has slot i, so that a table's partitions can be placed by
// choice.
constexpr std::uint32_t slot_of(Partition partition) {
  if (partition.stream.value < internal_stream_ids) return partition.index % slot_count;
  std::uint64_t mixed = partition.stream.value * 0x9e3779b97f4a7c15ull;
  mixed ^= mixed >> 32;
  return static_cast<std::uint32_t>((mixed + partition.index) % slot_count);
}

// Where all that belongs to a client id has its home: who holds it, and its session. The same in
// all versions, for rows lie by it.
std::uint32_t slot_of_client(std::string_view client_id);

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
