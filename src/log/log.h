#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/disk.h"
#include "base/ids.h"
#include "base/metrics.h"
#include "base/result.h"
#include "base/task.h"
#include "log/block.h"
#include "log/key_hint.h"
#include "runtime/loop.h"
#include "runtime/worker.h"

namespace sluice::log {

enum class Durability : std::uint8_t {
  disk,  // done when it is synced
  os,    // done when the operating system has it: survives a killed process, not a lost machine
};

struct Options {
  Durability durability = Durability::disk;
  bool direct_io = true;  // past the page cache: segments, and the journal if it is synced
  std::uint64_t segment_size = 64ull << 20;
  std::uint64_t journal_size = 64ull << 20;  // of one journal file
  std::uint32_t journal_files = 4;           // per shard
  std::uint64_t tail_cache_size = 64ull << 20;
  std::uint64_t read_cache_size = 16ull << 20;  // of memory that segments are read into
  std::size_t read_chunk_size = 2 << 20;        // of the read cache; whole blocks of 4 KiB
  runtime::Duration checkpoint_interval = std::chrono::seconds(10);
  runtime::Duration retention_interval = std::chrono::minutes(1);
  std::uint64_t pending_max = 16ull
                              << 20;   // bytes appended and not yet durable; beyond: Errc::busy
  std::uint32_t open_files_max = 256;  // segment files held open
  std::int64_t producer_expiration_ms = 86'400'000;
  std::uint64_t compaction_map_size = 32ull << 20;  // memory of a compaction for keys, in bytes
  std::uint64_t key_index_memory =
      32ull << 20;  // for the keys of segments that are written; 0: no key indexes
};

struct PartitionOptions {
  std::int64_t retention_ms = -1;     // -1: for ever
  std::int64_t retention_bytes = -1;  // -1: no limit
  std::int64_t segment_size = -1;     // -1: Options::segment_size
  std::int64_t segment_ms = -1;       // an older segment is closed by the next append; -1: never
  bool compact = false;               // the newest record of each key stays
  std::int64_t delete_retention_ms = 86'400'000;  // how long compaction keeps a null value
  std::int64_t min_compaction_lag_ms = 0;         // younger records are not compacted
  bool key_index = true;  // segments that are full get a key index, see Log::read
};

struct Appended {
  Offset first;            // of the batch; for a duplicate that of the original
  bool duplicate = false;  // an idempotent producer's repeat: nothing was appended
};

struct Bounds {
  Offset start;        // lowest offset that can be read
  Offset visible_end;  // the high watermark: everything below it is durable in the configured sense
};

struct ReadAnswer {
  std::vector<BlockRef> blocks;  // in order; the first may begin before the wanted offset
  Offset next;  // where to read on: until() of the last block, or beyond holes that were skipped
  Bounds bounds;
  std::uint64_t skipped = 0;  // offsets lost to damage in [from, next); not known with a hint
};

// Told what becomes visible, on the log's shard. Within on_commit the high watermark is past the
// block already.
class CommitSink {
 public:
  virtual void on_commit(Partition partition, const std::shared_ptr<Block>& block) = 0;

 protected:
  ~CommitSink() = default;
};

class Recovery;
struct RecoveredState;

// The embedded log of one shard: its partitions, their journal, tail cache and segments.
//
// Shard:   all calls and callbacks on the loop given. Disk work happens on two helpers made from
//          it: one writes and syncs the journal, one writes segments behind, checkpoints, reads and
//          deletes.
// Order:   appends to one partition keep the call order; `done` callbacks of a log run in the order
//          of the appends that succeeded. A refused append answers at once.
// Failure: a failed journal write or sync makes the log read-only (Errc::io) until a restart, since
//          nobody can say what reached the disk. No room (Errc::disk_full): appends are refused,
//          reads go on; tried again each second.
// Format:  docs/formats/{journal,segment,checkpoint}.md
class Log {
 public:
  struct Context {
    runtime::Loop* loop = nullptr;
    Disk* disk = nullptr;
    Metrics* metrics = nullptr;
    CommitSink* sink = nullptr;
  };

  // Takes over the partitions that recovery placed on `shard`.
  Log(Context context, Options options, ShardId shard, Recovery& recovered);
  ~Log();

  // Makes a partition known (nothing touches the disk before its first record) or changes its
  // options.
  void open(Partition partition, PartitionOptions options);
  [[nodiscard]] bool has(Partition partition) const;
  // Drops the partition; its files go in the background. Appends under way answer Errc::closed.
  void drop(Partition partition);
  [[nodiscard]] std::vector<Partition> partitions() const;

  // Appends one validated batch, checks a producer's sequence, stamps offsets. Errors come through
  // `done`, at once: not_found, busy (pending_max; see on_room), disk_full, io, sequence_gap,
  // producer_fenced, too_large (a batch that no journal file can hold).
  void append(Partition partition, std::shared_ptr<Block> block, Done<Appended> done);
  // False when an append would now be refused as busy or disk_full; true once the log is read-only,
  // so that whoever waits for room hears of it.
  [[nodiscard]] bool has_room() const;
  // `callback` runs once when has_room() is true again (at once if it is).
  void on_room(Task callback);

  [[nodiscard]] Result<Bounds> bounds(Partition partition) const;
  // Whole batches from the one that holds `from` on, at least one if there is any below the visible
  // end, until bytes_max is passed; from the disk perhaps half as much. From memory at once (in
  // this call) where the tail cache has it, else from the disk later. Errors: not_found,
  // out_of_range (below the start or beyond the visible end), io, closed.
  void read(Partition partition, Offset from, std::size_t bytes_max, Done<ReadAnswer> done);
  // The same, but batches of full segments in which a key index says that nothing is wanted may be
  // left out; `next` lies beyond them. An index that is missing is made in the background. Null:
  // all is wanted.
  void read(Partition partition, Offset from, std::size_t bytes_max, KeyHintRef hint,
            Done<ReadAnswer> done);
  // The first record with a timestamp >= `when`: its offset and timestamp; {visible_end, -1} if
  // none.
  struct Found {
    Offset offset;
    WallMs timestamp = -1;
  };
  void find_time(Partition partition, WallMs when, Done<Found> done);
  // The offset of the record with the largest timestamp (KIP-734).
  void find_max_time(Partition partition, Done<Found> done);

  // Where the newest `bytes` bytes of a partition begin, as they are stored; of what is in segments
  // only to about 64 KiB, and never too high. The start if it holds less. Errors: not_found, busy,
  // io, closed.
  void find_newest(Partition partition, std::uint64_t bytes, Done<Offset> done);

  // Retention and compaction now, without waiting for their interval.
  void apply_retention();
  // Raises the start to `before`; answers the new one, or the present one if that is higher.
  // Durable when done. Errors: not_found, out_of_range (beyond the visible end), disk_full, io,
  // closed.
  void delete_records(Partition partition, Offset before, Done<Offset> done);
  // Retention and compaction leave alone what lies at or above `from`, until the next call.
  void hold(Partition partition, Offset from);
  // Everything appended is made durable, segments are written, a checkpoint is taken; then `done`.
  // Afterwards nothing is accepted any more. The log may be destroyed in `done`.
  void stop(Done<void> done);

  struct Health {
    bool writable = true;
    std::string reason;  // why not
  };
  [[nodiscard]] Health health() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Brings a data directory to a known state before the shards run: reads checkpoints and journals
// (of however many shards wrote them), cuts torn tails, refills segments, writes fresh checkpoints
// for `shards` shards. Blocking. Damage in the middle is reported in the log and in `damage`, and
// skipped.
class Recovery {
 public:
  // Which shard owns a partition, for a given number of shards. Fixed, so that all layers agree.
  static ShardId owner(Partition partition, std::uint32_t shards);

  static Result<std::unique_ptr<Recovery>> run(Disk& disk, const Options& options,
                                               std::uint32_t shards);
  ~Recovery();

  [[nodiscard]] std::vector<Partition> partitions() const;
  // Reads a whole partition in order, blocking: for folding internal streams (the catalogue) before
  // the shards run.
  Result<std::vector<BlockRef>> read_all(Partition partition);
  struct Damage {
    std::uint64_t places = 0;  // damaged stretches found
    std::uint64_t bytes = 0;   // bytes skipped
  };
  [[nodiscard]] Damage damage() const;

 private:
  friend class Log;
  Recovery();
  std::unique_ptr<RecoveredState> state_;
};

}  // namespace sluice::log
