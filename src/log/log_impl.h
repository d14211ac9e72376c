#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/logger.h"
#include "log/checkpointer.h"
#include "log/compactor.h"
#include "log/helper.h"
#include "log/journal.h"
#include "log/key_indexer.h"
#include "log/log.h"
#include "log/partition_log.h"
#include "log/segment_store.h"
#include "log/tail_cache.h"
#include "log/write_behind.h"

namespace sluice::log {

// The parts of a log and how they work together:
//
//   append -> journal -> commit: high watermark, tail cache, sink, acks -> write-behind -> segments
//   -> checkpoint
//
// and, beside it, retention and compaction of what is in the segments.
//
// log.cc: partitions and commits; log_append.cc: the way in; log_read.cc: the ways out;
// log_health.cc: trouble, stop.
class Log::Impl final : public runtime::TurnHook,
                        public JournalOwner,
                        public WriteBehindOwner,
                        public CheckpointOwner,
                        public CompactorOwner {
 public:
  Impl(Context context, const Options& options, ShardId shard, Recovery& recovered);
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void open(Partition partition, PartitionOptions options);
  [[nodiscard]] bool has(Partition partition) const { return partitions_.contains(partition); }
  void drop(Partition partition);
  [[nodiscard]] std::vector<Partition> partitions() const;
  void append(Partition partition, std::shared_ptr<Block> block, Done<Appended> done);
  [[nodiscard]] bool has_room() const;
  void on_room(Task callback);
  [[nodiscard]] Result<Bounds> bounds(Partition partition) const;
  void read(Partition partition, Offset from, std::size_t bytes_max, KeyHintRef hint,
            Done<ReadAnswer> done);
  void find_time(Partition partition, WallMs when, Done<Found> done);
  void find_max_time(Partition partition, Done<Found> done);
  void find_newest(Partition partition, std::uint64_t bytes, Done<Offset> done);
  void apply_retention();
  void delete_records(Partition partition, Offset before, Done<Offset> done);
  void hold(Partition partition, Offset from);
  void stop(Done<void> done);
  [[nodiscard]] Health health() const;

 private:
  static constexpr std::uint32_t disk_reads_max = 4096;

  struct Metered {
    explicit Metered(Metrics& metrics);
    Histogram& append_seconds;
    Counter& appended_bytes;
    Counter& corrupt_batches;
    Counter& read_bytes;
    Gauge& bytes;
    Gauge& disk_full;
    Gauge& cache_bytes;
    Gauge& read_only;
  };
  struct PendingRead {
    std::shared_ptr<PartitionLog> partition;
    Offset from;
    std::size_t bytes_max;
    KeyHintRef hint;
    Done<ReadAnswer> done;
    std::uint64_t skipped = 0;
  };

  void on_turn_end() override { journal_.flush(); }
  void on_journal_done(std::vector<JournalAppend> appends) override;
  void on_journal_failed(const Error& error, std::vector<JournalAppend> appends) override;
  void on_journal_wants_checkpoint() override;
  void on_segments_written(std::uint64_t bytes, std::vector<SealedKeys> sealed) override;
  void on_segments_failed(const Error& error) override;
  void on_checkpoint(const Checkpoint::Position& position) override;
  void on_checkpoint_failed(const Error& error, bool in_sync) override;
  [[nodiscard]] bool may_compact() const override;
  void on_compacted(Partition partition, std::span<const Segment> replaced,
                    const std::optional<Segment>& made) override;

  [[nodiscard]] std::shared_ptr<PartitionLog> find(Partition partition) const;
  void commit(JournalAppend& append);
  void finish(JournalAppend& append);
  void delete_files(Partition partition);
  void journal_drop(std::shared_ptr<PartitionLog> partition);
  void forget(Partition partition, std::span<const Segment> segments);
  void raise_start(PartitionLog& partition, Offset start);
  void note_change();

  [[nodiscard]] Result<void> may_append(std::size_t batch_size) const;
  Result<bool> is_duplicate(const PartitionLog& partition, const Block& block,
                            Appended& original) const;
  void reserve_offsets(const std::shared_ptr<PartitionLog>& partition, Offset until);
  void take_back(PartitionLog& partition);

  void continue_read(PendingRead read);
  static ReadAnswer read_cached(const PartitionLog& partition, Offset from, std::size_t bytes_max);
  void read_disk(PendingRead read);
  void on_disk_read(PendingRead read, Result<SegmentRead> result);
  void find_offset_at(std::shared_ptr<PartitionLog> partition, std::size_t segment,
                      std::uint64_t at, Done<Offset> done);
  static SegmentRange range_of(const PartitionLog& partition, std::size_t first, std::size_t count);

  void go_read_only(const Error& error);
  void go_disk_full(const Error& error);
  void probe_room();
  void tell_room();
  void continue_stop();
  void arm_retention();

  runtime::Loop& loop_;
  Disk& disk_;
  CommitSink* sink_;
  Options options_;
  Metered metered_;
  LogLimit damage_log_;
  Helper helper_;  // of the disk; the journal has its own
  std::shared_ptr<SegmentStore> store_;
  PartitionTable partitions_;
  TailCache cache_;
  Journal journal_;
  WriteBehind write_behind_;
  Checkpointer checkpointer_;
  Compactor compactor_;
  KeyIndexer key_indexer_;

  std::optional<Error> failure_;    // read-only since
  std::optional<Error> disk_full_;  // for now
  bool stopping_ = false;
  bool final_checkpoint_ = false;
  Done<void> stopped_;
  std::vector<Task> on_room_;
  std::vector<std::shared_ptr<PartitionLog>> undropped_;  // wait for room in the journal
  std::uint32_t disk_reads_ = 0;
  runtime::TimerId checkpoint_timer_ = runtime::TimerId::none;
  runtime::TimerId retention_timer_ = runtime::TimerId::none;
  runtime::TimerId probe_timer_ = runtime::TimerId::none;
};

}  // namespace sluice::log
