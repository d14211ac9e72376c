#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "log/block.h"
#include "log/log.h"
#include "log/state.h"

namespace sluice::log {

// The cached blocks of one partition in offset order: a queue in one vector, nothing while it is
// empty.
class BlockQueue {
 public:
  [[nodiscard]] bool empty() const { return head_ == blocks_.size(); }
  [[nodiscard]] const BlockRef& front() const { return blocks_[head_]; }
  void push(BlockRef block) { blocks_.push_back(std::move(block)); }
  void pop();
  void clear();
  // The blocks from the one that holds `offset`, or the next one, on.
  [[nodiscard]] std::span<const BlockRef> from(Offset offset) const;

 private:
  std::vector<BlockRef> blocks_;
  std::uint32_t head_ = 0;  // places before it are free
};

// One partition on its shard. Offsets, from low to high:
//
//   start <= written_until <= visible_end <= state.end
//
// Below written_until records are in segments, below visible_end they are durable in the journal
// and in the tail cache, below state.end they are on their way to the journal.
struct PartitionLog {
  static constexpr Offset not_held{std::numeric_limits<std::int64_t>::max()};

  PartitionState state;
  PartitionOptions options{};
  Offset visible_end;
  Offset written_until;
  Offset held_from = not_held;  // retention and compaction stay below
  BlockQueue cached;
  bool dirty = false;       // the write-behind knows that there is something to write
  bool tidied = false;      // leftover files have been looked for in this run
  bool roll = false;        // the next block begins a new segment
  bool compacting = false;  // is being compacted, or waits for it
  bool dropped = false;
};

// A partition at rest: this, a place in the table of partitions and a count of references. Nothing
// else.
constexpr std::size_t partition_table_overhead = 96;
static_assert(sizeof(PartitionLog) + partition_table_overhead <= 500);

}  // namespace sluice::log
