#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/logger.h"
#include "base/metrics.h"
#include "base/task.h"
#include "latest/latest.h"
#include "latest/row.h"
#include "runtime/loop.h"
#include "stream/stream.h"
#include "table/table.h"

namespace sluice::latest {

// What the parts of one shard share. Valid from open() on.
struct Place {
  runtime::Loop* loop = nullptr;
  stream::Stream* stream = nullptr;
  table::Table* table = nullptr;
  Topics* topics = nullptr;
  ShardId shard;
};

// Told of the rows that the fold puts.
class FoldSink {
 public:
  // The row of a record was put. `elsewhere` has a value when messages of its topic now go to
  // another partition than this one: the row is to follow.
  virtual void on_row(Partition partition, std::string_view record_key,
                      std::optional<Partition> elsewhere) = 0;
  virtual void on_live(Partition partition) = 0;

 protected:
  ~FoldSink() = default;
};

// Folds the data partitions of one shard into rows, and keeps account of how far each has come.
//
// A position goes into the table with the rows of each block, in the same batch; for a partition
// without rows after 10 s or 64 MiB, so that a restart has not much to read. Retention is held back
// to positions that are durable.
class Folds final : public stream::CommitSink {
 public:
  Folds(Place& place, FoldSink& sink, Metrics& metrics);
  ~Folds();

  // Follows a partition from `position` (none: from its start).
  void add(const stream::StreamInfo& stream, std::uint32_t index,
           const std::optional<Position>& position);
  void remove(Partition partition);  // its stream is gone

  [[nodiscard]] bool knows(Partition partition) const { return parts_.contains(partition); }
  [[nodiscard]] bool has_rows(Partition partition) const;
  // Everything that was visible is folded.
  [[nodiscard]] bool live(Partition partition) const;
  [[nodiscard]] bool all_live() const { return catching_up_ == 0; }
  // Runs `task` when the partition is live, or gone.
  void when_live(Partition partition, Task task);
  template <class Visit>
  void for_each_with_rows(Visit visit) const {
    for (const auto& [partition, part] : parts_)
      if (part.has_rows) visit(partition);
  }

  void note_moved_row(Partition partition);  // a row came from elsewhere
  [[nodiscard]] std::uint32_t placed(Partition partition) const;
  void set_placed(Partition partition, std::uint32_t partitions);  // all rows are where they belong
  // For so long what is cleared stays as a row that says so (Row::cleared()).
  void keep_cleared_until(runtime::TimePoint when) { keep_cleared_until_ = when; }

  void on_commit(Partition partition, const std::shared_ptr<log::Block>& block) override;
  // Puts the positions that are not in the table yet; nothing is folded afterwards.
  void stop();

 private:
  struct Part {
    Offset next;   // everything below it is folded
    Offset saved;  // position in the table
    Offset held;   // position that is durable
    Offset end;    // what is known to be visible, while catching up
    std::uint64_t unsaved_bytes = 0;
    std::uint32_t placed = 0;  // Position::partitions
    bool live = false;
    bool has_rows = false;
    bool dirty = false;  // among dirty_
    std::vector<Task> waiting;
  };

  Part* find(Partition partition);
  void start_catching_up();
  void catch_up(Partition partition);
  void on_read(Partition partition, const Result<stream::ReadAnswer>& answer);
  void skip_lost(Partition partition);
  void set_live(Partition partition);
  void end_catching_up();
  void run_waiting(Part& part);

  void fold(Partition partition, Part& part, const log::Block& block);
  [[nodiscard]] bool fold_rows(Partition partition, Part& part, const log::Block& block);
  void put_position(Partition partition, Part& part);
  void note_progress(Partition partition, Part& part);
  void arm_timer();
  void save();
  void flush_slot(std::uint32_t slot, std::vector<std::pair<Partition, Offset>> positions);

  Place& place_;
  FoldSink& sink_;
  Counter& lost_;
  std::unordered_map<Partition, Part> parts_;
  std::deque<Partition> to_catch_up_;
  std::size_t reading_ = 0;
  std::size_t catching_up_ = 0;  // not live yet
  std::vector<Partition> dirty_;
  std::size_t flushing_ = 0;  // slots
  runtime::TimerId save_timer_ = runtime::TimerId::none;
  runtime::TimePoint keep_cleared_until_{};
  bool stopped_ = false;
  std::string topic_;  // reused
};

}  // namespace sluice::latest
