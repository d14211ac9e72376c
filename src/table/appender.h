#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/metrics.h"
#include "base/task.h"
#include "log/record_batch.h"
#include "runtime/loop.h"
#include "stream/stream.h"
#include "table/guard.h"
#include "table/slots.h"

namespace sluice::table {

// Brings the changes of all slots to the table's stream. Per slot one batch is under way; it goes
// in the turn after the first put, or 100 ms after the first put behind, or when the batch before
// it is answered. What the stream can't take now goes when there is room, or a second later; what
// it refuses for another reason fails the puts, while rows put behind are tried again each second.
class Appender {
 public:
  Appender(runtime::Loop& loop, stream::Stream& stream, Slots& slots, std::string table,
           Metrics& metrics);
  ~Appender();
  Appender(const Appender&) = delete;
  Appender& operator=(const Appender&) = delete;

  void start(StreamId stream) { stream_id_ = stream; }

  // The slot has changes that may wait for others, or that somebody waits for.
  void on_behind(std::uint32_t slot);
  void on_urgent(std::uint32_t slot);

  // Appends all there is; `done` when it is durable, or with the first error when rows put behind
  // can't be appended now. Nothing may be put afterwards.
  void finish(Done<void> done);

 private:
  struct State {
    bool due = false;      // goes in the next turn
    bool blocked = false;  // was refused, and waits for room or for a second to pass
    std::size_t batch_max;
  };

  void append_due();
  void append(std::uint32_t slot);
  void on_answer(std::uint32_t slot, const Result<stream::Appended>& answer);
  void on_refused(std::uint32_t slot, const Error& error);
  void block(std::uint32_t slot);
  void unblock(std::uint32_t slot);
  void go_on(std::uint32_t slot);
  void check_finished();

  runtime::Loop& loop_;
  stream::Stream& stream_;
  Slots& slots_;
  const std::string table_;
  Counter& batches_;
  StreamId stream_id_;
  std::array<State, slot_count> states_;
  std::vector<std::uint32_t> due_;
  log::BatchBuilder builder_;
  runtime::TimerId behind_timer_ = runtime::TimerId::none;  // while rows put behind wait
  Done<void> finished_;
  Result<void> failure_;  // of the last batches, while finishing
  Guard guard_;
};

}  // namespace sluice::table
