#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/ids.h"
#include "log/producers.h"

namespace sluice::log {

// A segment file as the partition's shard knows it: what has been written to it, not what is on its
// way.
struct Segment {
  Offset base;
  std::uint64_t size = 0;
  WallMs max_timestamp = -1;
};

// What of a partition outlives the process: a checkpoint's entry, which recovery hands to the log.
struct PartitionState {
  Partition id;
  Offset start;
  Offset end;                     // next offset to be given
  Offset reserved;                // docs/formats/journal.md: offsets below may be given already
  std::vector<Segment> segments;  // in order; the last one is written to
  std::unique_ptr<ProducerTable> producers;
};

}  // namespace sluice::log
