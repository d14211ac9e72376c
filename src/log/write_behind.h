#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/task.h"
#include "log/helper.h"
#include "log/partition_log.h"
#include "log/segment_store.h"

namespace sluice::log {

// Who is told how the write-behind gets on: the log.
class WriteBehindOwner {
 public:
  // `sealed`: what is known of the keys of segments that are full now.
  virtual void on_segments_written(std::uint64_t bytes, std::vector<SealedKeys> sealed) = 0;
  // disk_full: the same is tried again on resume(). Anything else: never again.
  virtual void on_segments_failed(const Error& error) = 0;

 protected:
  ~WriteBehindOwner() = default;
};

// Moves what is durable in the journal to the segments: every MiB, every second, or when a
// checkpoint asks for it. One write job at a time; until it is done its blocks stay in the tail
// cache.
//
// Shard: on its loop; the files are written on the disk helper.
class WriteBehind {
 public:
  static constexpr std::uint64_t threshold = 1024 * 1024;
  static constexpr runtime::Duration delay = std::chrono::seconds(1);

  WriteBehind(runtime::Loop& loop, Helper& helper, std::shared_ptr<SegmentStore> store,
              std::uint64_t segment_size, WriteBehindOwner& owner)
      : loop_(loop),
        helper_(helper),
        store_(std::move(store)),
        segment_size_(segment_size),
        owner_(owner) {}
  ~WriteBehind() { loop_.cancel(timer_); }

  // `bytes` more of this partition are visible and in its cache.
  void add(const std::shared_ptr<PartitionLog>& partition, std::uint64_t bytes);
  // Runs `done` when all that is visible now has been written; never if that fails.
  void write_all(Task done);
  // After disk_full.
  void resume();

  [[nodiscard]] std::uint64_t unwritten_bytes() const { return unwritten_bytes_; }

 private:
  struct Step {
    std::shared_ptr<PartitionLog> partition;
    SegmentWrite write;
  };
  struct Plan {
    std::vector<Step> steps;
    std::uint64_t bytes = 0;
  };

  void start();
  void plan_partition(const std::shared_ptr<PartitionLog>& partition, Plan& plan);
  void submit(const std::shared_ptr<Plan>& plan);
  void on_written(const std::shared_ptr<Plan>& plan, Result<std::vector<SealedKeys>> result);
  void apply(const Step& step);

  runtime::Loop& loop_;
  Helper& helper_;
  std::shared_ptr<SegmentStore> store_;
  std::uint64_t segment_size_;
  WriteBehindOwner& owner_;
  std::vector<std::shared_ptr<PartitionLog>> dirty_;
  std::uint64_t unwritten_bytes_ = 0;
  std::shared_ptr<Plan> failed_;  // for lack of room
  bool writing_ = false;
  bool dead_ = false;
  std::vector<Task> waiting_;  // for the write that follows the one under way
  std::vector<Task> covered_;  // by the write under way
  runtime::TimerId timer_ = runtime::TimerId::none;
};

}  // namespace sluice::log
