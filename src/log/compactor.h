#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>

#include "base/disk.h"
#include "base/logger.h"
#include "base/metrics.h"
#include "base/random.h"
#include "log/compaction.h"
#include "log/helper.h"
#include "log/partition_log.h"
#include "log/segment_store.h"

namespace sluice::log {

// Who is told how compaction gets on: the log.
class CompactorOwner {
 public:
  // False while nothing may be written.
  [[nodiscard]] virtual bool may_compact() const = 0;
  // `replaced` are not in the partition's list any more, `made` is.
  virtual void on_compacted(Partition partition, std::span<const Segment> replaced,
                            const std::optional<Segment>& made) = 0;

 protected:
  ~CompactorOwner() = default;
};

// Compacts the partitions of one shard, one at a time: what compaction.h does, on a helper of its
// own, and the exchange of segments in the partition's list. The next checkpoint names the new
// files, and only then the old ones go. So a crash leaves the old or the new, and who reads an old
// file goes on.
//
// Shard: on its loop. Bound: one pass under way; a partition waits at most once.
class Compactor {
 public:
  Compactor(runtime::Loop& loop, Disk& disk, Helper& disk_helper,
            std::shared_ptr<SegmentStore> store, Metrics& metrics, std::uint64_t segment_size,
            std::uint64_t map_size, CompactorOwner& owner);
  ~Compactor() { stop(); }

  // Compacts the partition soon, if it is time.
  void consider(const std::shared_ptr<PartitionLog>& partition);
  // What is under way ends; nothing is begun any more.
  void stop();

 private:
  [[nodiscard]] std::optional<CompactionPlan> plan(const PartitionLog& partition) const;
  void start_next();
  void tidy_first();
  void begin();
  void step();
  void take(Compaction::Rewritten rewritten);
  bool exchange(const Compaction::Rewritten& rewritten);
  void finish_pass();
  void give_up(const Error& error);
  void finish();

  runtime::Loop& loop_;
  Disk& disk_;
  Helper& disk_helper_;
  std::shared_ptr<SegmentStore> store_;
  std::uint64_t segment_size_;
  std::uint64_t map_size_;
  CompactorOwner& owner_;
  Counter& passes_;
  Counter& removed_bytes_;
  LogLimit log_limit_;
  Random random_ = Random::from_os();
  std::deque<std::shared_ptr<PartitionLog>> waiting_;
  std::shared_ptr<PartitionLog> current_;   // nothing: idle
  std::shared_ptr<Compaction> compaction_;  // of current_, once it has begun
  bool stopped_ = false;
  Helper helper_;  // last: its jobs end before what they use
};

}  // namespace sluice::log
