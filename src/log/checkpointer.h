#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/disk.h"
#include "base/task.h"
#include "log/checkpoint.h"
#include "log/helper.h"
#include "log/journal.h"
#include "log/segment_store.h"
#include "log/write_behind.h"

namespace sluice::log {

std::string checkpoint_path(std::uint32_t shard);

using PartitionTable = std::unordered_map<Partition, std::shared_ptr<PartitionLog>>;

// Who is told how checkpoints get on: the log.
class CheckpointOwner {
 public:
  virtual void on_checkpoint(const Checkpoint::Position& position) = 0;
  virtual void on_checkpoint_failed(const Error& error, bool in_sync) = 0;

 protected:
  ~CheckpointOwner() = default;
};

// Takes the checkpoints of one shard, one at a time: write what is visible to the segments, sync
// them, replace the checkpoint, delete the files that no checkpoint names any more.
//
// Shard: on its loop; everything that blocks is done on the disk helper.
class Checkpointer {
 public:
  Checkpointer(Disk& disk, Helper& helper, std::shared_ptr<SegmentStore> store, Checkpoint origin,
               const PartitionTable& partitions, Journal& journal, WriteBehind& write_behind,
               CheckpointOwner& owner)
      : disk_(disk),
        helper_(helper),
        store_(std::move(store)),
        origin_(std::move(origin)),
        partitions_(partitions),
        journal_(journal),
        write_behind_(write_behind),
        owner_(owner) {}

  // Does nothing while one is being taken: that one, or the next, is asked for again soon enough.
  void start(bool clean);
  [[nodiscard]] bool running() const { return running_; }
  // The file goes after the next checkpoint that is started.
  void doom(Partition partition, SegmentId segment) { doomed_.push_back({partition, segment}); }

 private:
  struct Doomed {
    Partition partition;
    SegmentId segment;
  };
  void on_written(const Checkpoint& checkpoint);
  void replace(const Checkpoint& checkpoint, Buffer bytes);
  void delete_doomed();
  void failed(const Error& error, bool in_sync);

  Disk& disk_;
  Helper& helper_;
  std::shared_ptr<SegmentStore> store_;
  Checkpoint origin_;
  const PartitionTable& partitions_;
  Journal& journal_;
  WriteBehind& write_behind_;
  CheckpointOwner& owner_;
  bool running_ = false;
  std::vector<Doomed> doomed_;
  std::vector<Doomed> unnamed_;  // by the checkpoint that is being taken
};

}  // namespace sluice::log
