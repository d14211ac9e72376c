#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/disk.h"
#include "log/block.h"
#include "log/key_hint.h"
#include "log/key_index_builder.h"
#include "log/key_indexes.h"
#include "log/read_cache.h"
#include "log/segment_index.h"
#include "log/state.h"

namespace sluice::log {

std::string partition_dir(Partition partition);                    // streams/<stream>/<partition>
std::string segment_path(Partition partition, SegmentId segment);  // the .log file
std::string segment_index_path(Partition partition, SegmentId segment);

// One piece of write-behind: blocks that go to a segment, one behind the other.
struct SegmentWrite {
  Partition partition;
  SegmentId segment;
  std::uint64_t at = 0;  // where in the file; 0 makes it
  std::vector<BlockRef> blocks;
  bool seals = false;  // the last write to this segment: its index goes to the disk as well
  bool keyed = false;  // it gets a key index
  // If so: of which blocks the records had been placed. Said by the shard, which may place others
  // while they are written.
  std::vector<bool> placed{};
  // Set in the first write of a run to a partition: files of other segments are left over from a
  // crash, and go.
  std::optional<std::vector<SegmentId>> known;

  [[nodiscard]] std::uint64_t size() const;
};

struct SegmentRead {
  std::vector<BlockRef> blocks;
  Offset next;
  std::uint64_t skipped = 0;  // offsets lost to damage, where all were to be read
  std::uint64_t damaged_places = 0;
  std::vector<Segment> without_index{};  // read whole for want of a key index
};

// A stretch of a partition to read: neighbouring segments, and where their offsets end.
struct SegmentRange {
  Partition partition;
  std::vector<Segment> segments;
  Offset until;  // no segment of the range holds it
  bool last_is_active = false;
};

// The segment files of a shard: open files within a bound, their indexes, what has to be synced.
// Blocking; all calls on the shard's disk helper, or before the shards run. Not thread-safe.
//
// Failure: after a failed sync nothing here may be taken as durable; the caller stops writing for
// good. Format:  docs/formats/segment.md
class SegmentStore {
 public:
  struct Config {
    std::uint32_t open_files_max = 1;  // segments; one that is read has two files
    bool direct_io = false;
    std::uint64_t key_index_memory = 0;  // as KeyIndexes has it
    ReadCache::Config reads;
  };
  SegmentStore(Disk& disk, Config config)
      : disk_(disk),
        config_(config),
        read_cache_(config.reads),
        key_indexes_(disk, config.key_index_memory) {}

  // May be repeated after a failure.
  Result<void> write(const SegmentWrite& write);
  // What write() has gathered of the keys of segments that it sealed since the last call.
  std::vector<SealedKeys> take_sealed() { return key_indexes_.take_sealed(); }
  // Not synced: what a crash damages is made anew.
  Result<void> write_key_index(Partition partition, SegmentId segment,
                               const KeyIndexBuilder::File& content);
  // Makes everything written so far durable, names included.
  Result<void> sync();

  // Whole batches from the one that holds `from` on, until bytes_max is passed; or half of it,
  // where more would be a further access to the disk. Damage is skipped, and with a hint what the
  // key indexes of sealed segments exclude.
  Result<SegmentRead> read(const SegmentRange& range, Offset from, std::size_t bytes_max,
                           const KeyHintRef& hint = nullptr);
  // How much of an answer is wanted, and how far it is.
  struct Portion {
    std::size_t bytes_max = 0;
    KeyHintRef hint;
    std::size_t bytes = 0;
    std::size_t jumps = 0;
  };
  struct Found {
    Offset offset;
    WallMs timestamp = -1;
  };
  // The first record of `when` or later at or above `floor` in `range`, or else in the blocks that
  // follow it; nothing if there is none.
  Result<std::optional<Found>> find_time(const SegmentRange& range,
                                         std::span<const BlockRef> unwritten, WallMs when,
                                         Offset floor);

  // The offset of a batch at or before the position `at` in the only segment of `range`, as its
  // index knows it.
  Result<Offset> offset_at(const SegmentRange& range, std::uint64_t at);

  // Deletes the files of a partition's segments other than `known`.
  Result<void> tidy(Partition partition, std::span<const SegmentId> known);
  Result<void> remove(Partition partition, SegmentId segment);
  Result<void> remove_partition(Partition partition);

 private:
  struct KeyHash {
    std::size_t operator()(const SegmentKey& key) const noexcept {
      return std::hash<Partition>()(key.partition) ^
             (static_cast<std::size_t>(key.segment.base.value + key.segment.generation) *
              0xff51afd7ed558ccdull);
    }
  };
  struct OpenSegment {
    SegmentKey key;
    std::unique_ptr<File> file;
    std::unique_ptr<File> for_chunks;  // once it has been read
    bool writable = false;
    bool dirty = false;
    SegmentIndex index;
    std::uint64_t indexed_until = 0;   // the index knows the batches below this position
    std::uint64_t writeback_from = 0;  // not yet asked to be written back
  };
  using Open = std::list<OpenSegment>;

  Result<OpenSegment*> open(const SegmentKey& key, bool writable);
  Result<File*> open_for_chunks(OpenSegment& segment);
  Result<void> sync_files();
  void make_room();
  Result<OpenSegment*> open_for_write(const SegmentWrite& write);
  Result<void> prepare_dir(const SegmentWrite& write);
  Result<void> write_index(OpenSegment& segment, std::uint64_t size);
  Result<void> complete_index(OpenSegment& segment, const Segment& known, Offset ceiling,
                              bool sealed);
  Result<bool> read_segment(const SegmentRange& range, std::size_t i, Portion& portion,
                            SegmentRead& out);
  std::shared_ptr<const Selection> select(Partition partition, const Segment& segment,
                                          const KeyHintRef& hint, SegmentRead& out);
  [[nodiscard]] bool is_writable(const SegmentKey& key) const;
  void close(const SegmentKey& key);

  Disk& disk_;
  Config config_;
  ReadCache read_cache_;
  KeyIndexes key_indexes_;
  Open open_;  // the least recently used first
  std::unordered_map<SegmentKey, Open::iterator, KeyHash> by_key_;
  std::set<std::string> dirty_dirs_;
  std::optional<Error> failed_sync_;  // for good: a later success would prove nothing
};

}  // namespace sluice::log
