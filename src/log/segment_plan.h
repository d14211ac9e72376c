#pragma once

#include <span>
#include <vector>

#include "log/segment_store.h"
#include "log/state.h"

namespace sluice::log {

struct SegmentPlan {
  std::uint64_t segment_size = 0;  // a segment that would pass it is sealed and a new one begun
  bool roll = false;               // begin a new one in any case
  bool key_index = false;          // full segments get one
  bool tidy = false;               // delete what a crash left over in the partition's directory
};

// Which writes put `blocks` (not empty, behind all that is there) into the partition's segments.
// Changes nothing.
std::vector<SegmentWrite> plan_writes(const PartitionState& state, std::span<const BlockRef> blocks,
                                      const SegmentPlan& plan);
// The write has been done.
void apply_write(PartitionState& state, const SegmentWrite& write, WallMs now);

}  // namespace sluice::log
