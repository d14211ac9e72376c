#include "log/segment_plan.h"

#include <algorithm>

namespace sluice::log {

std::vector<SegmentWrite> plan_writes(const PartitionState& state, std::span<const BlockRef> blocks,
                                      const SegmentPlan& plan) {
  std::vector<SegmentWrite> writes;
  bool roll = plan.roll || state.segments.empty();
  std::uint64_t size = 0;
  if (!state.segments.empty()) {
    const Segment& active = state.segments.back();
    size = active.size;
    writes.push_back({.partition = state.id,
                      .segment = active.id(),
                      .at = active.size,
                      .blocks = {},
                      .known = {}});
  }
  for (const BlockRef& block : blocks) {
    const std::uint64_t more = block->bytes().size();
    if (roll || (size > 0 && size + more > plan.segment_size)) {
      if (!writes.empty()) writes.back().seals = true;
      writes.push_back(
          {.partition = state.id, .segment = {block->from()}, .at = 0, .blocks = {}, .known = {}});
      size = 0;
      roll = false;
    }
    writes.back().blocks.push_back(block);
    if (plan.key_index) writes.back().placed.push_back(block->indexed());
    size += more;
  }
  for (SegmentWrite& write : writes) write.keyed = plan.key_index;
  if (plan.tidy) {
    auto& known = writes.front().known.emplace();
    for (const Segment& segment : state.segments) known.push_back(segment.id());
  }
  return writes;
}

void apply_write(PartitionState& state, const SegmentWrite& write, WallMs now) {
  if (write.blocks.empty()) return;
  if (state.segments.empty() || state.segments.back().id() != write.segment) {
    state.segments.push_back({.base = write.segment.base});
    state.active_since = now;
  }
  Segment& segment = state.segments.back();
  segment.size = write.at + write.size();
  for (const BlockRef& block : write.blocks)
    segment.max_timestamp = std::max(segment.max_timestamp, block->max_timestamp());
}

}  // namespace sluice::log
