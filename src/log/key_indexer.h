#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "base/disk.h"
#include "base/logger.h"
#include "base/metrics.h"
#include "log/checkpointer.h"
#include "log/helper.h"
#include "log/partition_log.h"
#include "log/segment_store.h"

namespace sluice::log {

// Makes the key index files of one shard, one at a time, on a helper of its own: of keys that were
// gathered while their segment was written, and, for segments that somebody has asked in vain, by
// reading them.
//
// Shard:   on its loop.
// Bound:   a few segments wait, and of gathered keys no more than `memory`; what comes beyond has
//          no index until somebody asks again.
// Failure: said in the log; the segment has no index until a restart.
class KeyIndexer {
 public:
  KeyIndexer(runtime::Loop& loop, Disk& disk, Helper& disk_helper,
             std::shared_ptr<SegmentStore> store, const PartitionTable& partitions,
             Metrics& metrics, std::uint64_t memory);
  ~KeyIndexer() { stop(); }

  // Segments that are in their partitions' lists, and full.
  void take(std::vector<SealedKeys> sealed);
  // Somebody has read these for want of an index.
  void want(const std::shared_ptr<PartitionLog>& partition, std::span<const Segment> segments);
  // What is under way ends soon; nothing is begun any more.
  void stop();

 private:
  struct Job {
    std::shared_ptr<PartitionLog> partition;
    Segment segment;
    std::optional<KeyIndexBuilder> keys;  // gathered already, until it begins
    std::uint64_t memory = 0;             // that they take; none: the segment is to be read
    [[nodiscard]] SegmentKey key() const { return {partition->state.id, segment.id()}; }
  };
  using Made = Result<KeyIndexBuilder::File>;

  void add(Job job);
  void start_next();
  void write(Made made);
  void finish(const Result<void>& written);
  // Where the offsets of a segment end; nothing if the partition does not have it any more.
  [[nodiscard]] static std::optional<Offset> ceiling_of(const Job& job);

  runtime::Loop& loop_;
  Disk& disk_;
  Helper& disk_helper_;
  std::shared_ptr<SegmentStore> store_;
  const PartitionTable& partitions_;
  std::uint64_t memory_;
  Counter& of_writes_;
  Counter& of_reads_;
  LogLimit log_limit_;
  std::deque<Job> jobs_;  // the first one is under way, if `busy_`
  bool busy_ = false;
  std::uint64_t gathered_bytes_ = 0;  // of all jobs
  std::set<SegmentKey> failed_;
  std::shared_ptr<std::atomic<bool>> stopped_ = std::make_shared<std::atomic<bool>>(false);
  std::unique_ptr<Helper> helper_;  // made for the first job
};

// The keys of a whole segment, read from its file: as far as `memory` goes, what is damaged, and
// what cannot be looked into, stays unknown. Blocking. Errc::closed once `stopped` is true.
Result<KeyIndexBuilder> read_keys(Disk& disk, const SegmentKey& key, const Segment& segment,
                                  Offset ceiling, std::uint64_t memory,
                                  const std::atomic<bool>& stopped);

}  // namespace sluice::log
