#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "base/task.h"
#include "log/record_batch.h"
#include "stream/stream.h"

namespace sluice::stream {

// A backend under test: some shards on one thread.
class TestBackend {
 public:
  virtual ~TestBackend() = default;
  [[nodiscard]] virtual std::uint32_t shards() const = 0;
  virtual Stream& stream(ShardId shard) = 0;
  virtual void post(ShardId shard, Task task) = 0;  // runs it in a turn of that shard
  // Lets the shards run until `done` holds. False: it never will.
  virtual bool run_until(std::move_only_function<bool()> done) = 0;
  virtual std::uint64_t random(std::uint64_t bound) = 0;
};

// Every backend runs the tests of contract_test.cc and contract_state_test.cc:
// INSTANTIATE_TEST_SUITE_P(Name, StreamContract, makers...).
struct BackendMaker {
  std::string name;
  std::function<std::unique_ptr<TestBackend>()> make;
  friend void PrintTo(const BackendMaker& maker, std::ostream* out) { *out << maker.name; }
};

class StreamContract : public testing::TestWithParam<BackendMaker> {};

// --- what tests of all backends say

std::vector<ShardId> all_shards(const TestBackend& backend);
Partition only_partition(const Result<StreamInfo>& stream);

// `call(stream, done)` on a shard, and its answer. Nothing: it never came.
template <class T>
Result<T> await(TestBackend& backend, ShardId shard,
                std::move_only_function<void(Stream&, Done<T>)> call) {
  auto answer = std::make_shared<std::optional<Result<T>>>();
  backend.post(shard, [&backend, shard, answer, call = std::move(call)]() mutable {
    call(backend.stream(shard), [answer](Result<T> result) { answer->emplace(std::move(result)); });
  });
  if (!backend.run_until([&] { return answer->has_value(); })) {
    return fail(Errc::closed, "there was no answer");
  }
  return std::move(**answer);
}

struct KeyValue {
  std::optional<std::string> key, value;  // nothing: null
};
std::shared_ptr<Block> keyed_batch(const std::vector<KeyValue>& records, WallMs timestamp = 1000);
// One batch, a record per value.
std::shared_ptr<Block> batch(const std::vector<std::string>& values, WallMs timestamp = 1000);

Result<StreamInfo> create(TestBackend& backend, const std::string& name, StreamConfig config = {},
                          ShardId shard = {});
Result<StreamInfo> alter(TestBackend& backend, const std::string& name, StreamConfig config,
                         ShardId shard = {});
Result<void> remove(TestBackend& backend, const std::string& name, ShardId shard = {});
Result<Appended> append(TestBackend& backend, ShardId shard, Partition partition,
                        const std::vector<std::string>& values, WallMs timestamp = 1000);
Result<Bounds> bounds(TestBackend& backend, ShardId shard, Partition partition);
Result<ReadAnswer> read(TestBackend& backend, ShardId shard, Partition partition, Offset from,
                        std::size_t bytes_max = 1 << 20);

// The values of an indexed block from an offset on.
std::vector<std::string> values_of(const Block& block, Offset from = {});
// What is left when the visible records from `from` on are folded: the newest value of each key.
std::map<std::string, std::string> read_map(TestBackend& backend, ShardId shard,
                                            Partition partition, Offset from = {});
// All visible values from `from` on, read in small portions.
std::vector<std::string> read_values(TestBackend& backend, ShardId shard, Partition partition,
                                     Offset from = {});

// Appends numbers, one to three in a batch, from 0 on, as fast as there is room; keeps what was
// acknowledged.
class Producer {
 public:
  Producer(TestBackend& backend, ShardId shard, Partition partition, int count);
  [[nodiscard]] bool finished() const { return acknowledged_ == count_; }

 private:
  void go();

  TestBackend& backend_;
  ShardId shard_;
  Partition partition_;
  int count_;
  int next_ = 0;
  int acknowledged_ = 0;
};

// Follows a partition as a reader should: by the tail, and when that gives up by reading and
// tailing again.
class Follower final : public TailSink {
 public:
  Follower(TestBackend& backend, ShardId shard, Partition partition, Offset from = {});

  void on_block(Partition partition, const BlockRef& block) override;
  void on_behind(Partition partition, Offset at) override;

  std::vector<std::string> values;
  int times_behind = 0;

 private:
  void start();
  void catch_up();
  void take(const Block& block);
  Stream& stream() { return backend_.stream(shard_); }

  TestBackend& backend_;
  ShardId shard_;
  Partition partition_;
  Offset next_;
  std::optional<Offset> tail_from_;  // while there is a tail: where it began
  std::deque<BlockRef> waiting_;     // came while reading up to there
};

std::vector<std::string> numbers(int count, int first = 0);

}  // namespace sluice::stream
