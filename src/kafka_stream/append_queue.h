#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>

#include "runtime/loop.h"
#include "stream/stream.h"

namespace sluice::kafka_stream {

// One shard's appends that are not answered yet. Answers are given per partition in the order of
// the calls, in whatever order they come.
class AppendQueue {
 public:
  std::uint64_t push(Partition partition, runtime::TimePoint now, Done<stream::Appended> done);
  void answer(Partition partition, std::uint64_t number, Result<stream::Appended> result);
  // The partition is gone: all are answered with `error`.
  void fail_all(Partition partition, const Error& error);
  // When the oldest of them came; none.
  [[nodiscard]] std::optional<runtime::TimePoint> oldest() const;

 private:
  struct Appending {
    runtime::TimePoint since;
    Done<stream::Appended> done;
    std::optional<Result<stream::Appended>> result;
  };
  struct Queue {
    std::uint64_t first = 0;  // number of waiting.front()
    std::deque<Appending> waiting;
  };
  std::unordered_map<Partition, Queue> queues_;
};

}  // namespace sluice::kafka_stream
