#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/metrics.h"
#include "base/task.h"
#include "hub/message.h"
#include "hub/router.h"
#include "hub/slots.h"
#include "log/record_batch.h"
#include "runtime/loop.h"
#include "stream/stream.h"
#include "trace/tracer.h"

namespace sluice::hub {

class PublisherSink;

// From messages to batches in the log, and back to acknowledgements, for one shard.
//
// The messages of a turn gather in one open batch per partition; at the end of the turn, or when a
// batch is full, it is appended. The batches of a turn form a generation: when all of them have
// been answered, and those of all generations before, each publisher hears once how far it has
// come. So acknowledgements keep the order of the publishes even when they went to several
// partitions.
//
// Bound: `pending_max` bytes not yet answered; then has_room() is false and publish() says busy.
class PublishPipeline {
 public:
  PublishPipeline(runtime::Loop& loop, stream::Stream& stream, const Router& router,
                  Metrics& metrics, trace::Tracer& tracer, std::size_t batch_max,
                  std::size_t pending_max);

  Handle add(PublisherSink& sink) { return publishers_.add({.sink = &sink}); }
  void remove(Handle publisher) { publishers_.erase(publisher); }

  Result<void> publish(Handle publisher, std::uint64_t sequence, const Route& route,
                       const Message& message);
  [[nodiscard]] bool has_room() const { return pending_bytes_ < pending_max_ && waiting_.empty(); }
  void wait_for_room(Handle publisher) { room_waiters_.push_back(publisher); }

  // As that of Hub.
  void when_published(Task task);

  void end_turn();

 private:
  struct Publisher {
    PublisherSink* sink = nullptr;
    std::uint64_t generation =
        0;  // in which it published last, and its place among the `reached` of that
    std::size_t reached_at = 0;
  };
  // Publishes of one publisher that follow each other and want an answer.
  struct Run {
    Handle publisher;
    std::uint64_t first;
    std::uint64_t last;
  };
  struct OpenBatch {
    Partition partition;
    log::BatchBuilder builder;
    std::vector<Run> runs;
    std::size_t pending = 0;  // what it adds to pending_bytes_
  };
  struct Generation {
    struct Reached {
      Handle publisher;
      std::uint64_t sequence;
    };
    std::uint32_t batches = 0;  // not yet answered
    std::vector<Reached> reached;
  };
  // A batch on its way. Kept until it is answered, so that one refused as busy can be handed in
  // again.
  struct Appending {
    Partition partition;
    std::shared_ptr<log::Block> block;
    std::vector<Run> runs;
    std::size_t pending;
    std::uint64_t generation;
  };

  OpenBatch& open_batch(Partition partition);
  void note(Handle publisher, std::uint64_t sequence, OpenBatch& batch);
  void close(OpenBatch& batch);
  [[nodiscard]] bool append(const std::shared_ptr<Appending>& appending);
  void on_answer(const Appending& appending, const Result<stream::Appended>& result);
  void trace_answer(const Appending& appending, const Result<stream::Appended>& result);
  void retry_waiting();
  void fail_runs(const std::vector<Run>& runs, const Error& error);
  void finish_generations();
  void run_waiters();
  void tell_room();
  [[nodiscard]] std::uint64_t current_generation() const {
    return first_generation_ + generations_.size() - 1;
  }
  [[nodiscard]] bool is_current_empty() const;

  runtime::Loop& loop_;
  stream::Stream& stream_;
  const Router& router_;
  trace::Tracer& tracer_;
  Counter& not_stored_;
  std::size_t batch_max_;
  std::size_t pending_max_;
  std::size_t pending_bytes_ = 0;
  bool in_append_ = false;
  std::optional<Result<stream::Appended>> early_;  // the answer that came within the call
  Slots<Publisher> publishers_;
  std::vector<Handle> room_waiters_;
  Buffer headers_;  // reused for each message

  std::vector<OpenBatch> batches_;  // open or empty; found by partition
  std::unordered_map<Partition, std::size_t> batch_of_;
  Partition last_partition_;  // of the message before, with its place in batches_
  std::size_t last_batch_ = 0;
  std::uint64_t first_generation_ = 1;              // number of generations_.front()
  std::deque<Generation> generations_;              // the last one is this turn's
  std::deque<std::shared_ptr<Appending>> waiting_;  // refused as busy, in order
  // In order: each runs when its generation and all before have been answered.
  std::deque<std::pair<std::uint64_t, Task>> waiters_;
};

}  // namespace sluice::hub
