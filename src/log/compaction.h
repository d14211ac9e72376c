#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/disk.h"
#include "base/result.h"
#include "log/key_map.h"
#include "log/partition_log.h"
#include "log/segment_index.h"
#include "log/state.h"

namespace sluice::log {

// What one pass over a partition is to do.
struct CompactionPlan {
  Partition partition;
  std::vector<Segment> segments;   // those that may be rewritten, in order
  Offset until;                    // where their offsets end
  Offset clean_until;              // an earlier pass has seen what lies below
  Offset tombstones_below;         // null values below have been kept for long enough
  std::uint64_t segment_size = 0;  // what is rewritten together has at most this size
};

// Nothing unless it is time: half of what may be compacted is new since the last pass, or null
// values have been kept for long enough. The segment that is written to is never touched, nor what
// somebody holds or what is too young; so the end of a partition is always a record.
std::optional<CompactionPlan> plan_compaction(const PartitionLog& partition, WallMs now,
                                              std::uint64_t segment_size);

// Remembers in the state that a pass is over; null values below `tombstones_below` are gone.
void note_pass(CompactionState& state, const CompactionState::Pass& pass, Offset tombstones_below,
               std::int64_t delete_retention_ms);

// One pass: the newest offsets of the keys that came since the last one are put into a map, then
// the segments are rewritten, group by group, each into a new file; none of the old ones is
// touched. A map that is full ends the pass where it stopped; the next one begins there.
//
// Thread:  all but cancel() on the compaction's helper. Blocking.
// Failure: errors leave no file behind. Errc::corrupt: a segment is damaged, what could be read of
//          it is not written anew. Errc::closed: cancelled.
class Compaction {
 public:
  Compaction(Disk& disk, CompactionPlan plan, std::uint64_t map_size, KeyMap::Seed seed)
      : disk_(disk), plan_(std::move(plan)), newest_(map_size, seed) {}

  // First. Reads what is new.
  Result<void> map_keys();
  // A group of neighbouring segments and what takes their place: nothing if no record is left. The
  // file and its name are durable.
  struct Rewritten {
    std::vector<SegmentId> replaced;
    std::optional<Segment> made;
  };
  // The next group of which something goes; nothing when all are done.
  Result<std::optional<Rewritten>> next();
  // Deletes what next() has made, when it is of no use any more.
  void discard(const Rewritten& rewritten);

  // From any thread: what is under way ends soon, with Errc::closed.
  void cancel() { cancelled_ = true; }

  [[nodiscard]] const CompactionPlan& plan() const { return plan_; }
  [[nodiscard]] Offset mapped_until() const { return mapped_until_; }
  [[nodiscard]] std::uint64_t tombstones() const { return tombstones_; }  // left, below `until`
  [[nodiscard]] std::uint64_t keyless() const { return keyless_; }        // went for want of a key

 private:
  struct Output;

  template <class Visit>
  Result<void> scan(std::size_t segment, Visit visit);
  [[nodiscard]] std::size_t group_end(std::size_t first) const;
  Result<std::optional<Rewritten>> rewrite(std::size_t first, std::size_t end);

  Disk& disk_;
  CompactionPlan plan_;
  KeyMap newest_;
  Offset mapped_until_;
  std::size_t next_segment_ = 0;
  std::uint64_t tombstones_ = 0;
  std::uint64_t keyless_ = 0;
  std::atomic<bool> cancelled_ = false;
};

}  // namespace sluice::log
