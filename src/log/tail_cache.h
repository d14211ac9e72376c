#pragma once

#include <cstdint>
#include <deque>

#include "log/partition_log.h"

namespace sluice::log {

// The newest blocks of a shard's partitions, under one budget. The oldest go first, but none before
// it is in its segment; so the cache may pass its budget by what waits for the write-behind, which
// has a bound of its own.
class TailCache {
 public:
  explicit TailCache(std::uint64_t budget) : budget_(budget) {}

  void add(PartitionLog& partition, BlockRef block);
  // Drops what is over the budget and need not stay. After add() and after the write-behind has
  // moved on.
  void evict();
  // The partition is going away.
  void forget(PartitionLog& partition);
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  struct Entry {
    PartitionLog* partition;
    std::uint64_t footprint;
  };
  std::deque<Entry> order_;  // of all partitions' blocks, the oldest first
  std::uint64_t bytes_ = 0;
  std::uint64_t budget_;
};

}  // namespace sluice::log
