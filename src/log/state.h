#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/ids.h"
#include "log/producers.h"

namespace sluice::log {

// Names a segment file of a partition. Compaction writes a segment anew as the next generation, in
// a file of its own.
struct SegmentId {
  Offset base;
  std::uint32_t generation = 0;
  friend auto operator<=>(const SegmentId&, const SegmentId&) = default;
};

// The same among all partitions of a shard.
struct SegmentKey {
  Partition partition;
  SegmentId segment;
  friend auto operator<=>(const SegmentKey&, const SegmentKey&) = default;
};

// A segment file as the partition's shard knows it: what has been written to it, not what is on its
// way.
struct Segment {
  Offset base;
  std::uint64_t size = 0;
  WallMs max_timestamp = -1;
  std::uint32_t generation = 0;

  [[nodiscard]] SegmentId id() const { return {base, generation}; }
};

// How far a partition has been compacted.
struct CompactionState {
  // A pass that is over. Null values that it left are kept for a while from then on.
  struct Pass {
    Offset until;
    WallMs at = 0;
    std::uint64_t tombstones = 0;  // left below `until`
  };
  Offset until;  // below, no key has two records, and none that is newer further up to here
  std::vector<Pass> passes;  // the oldest first
};

// What of a partition outlives the process: a checkpoint's entry, which recovery hands to the log.
struct PartitionState {
  Partition id;
  Offset start;
  Offset end;                     // next offset to be given
  Offset reserved;                // docs/formats/journal.md: offsets below may be given already
  std::vector<Segment> segments;  // in order; the last one is written to
  WallMs active_since = 0;        // when the last segment was begun
  std::unique_ptr<ProducerTable> producers;
  std::unique_ptr<CompactionState> compaction;  // none: never compacted
};

}  // namespace sluice::log
