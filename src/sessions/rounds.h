#pragma once

#include <functional>
#include <utility>

#include "base/task.h"
#include "runtime/loop.h"
#include "sessions/evidence.h"

namespace sluice::sessions {

// Moves the positions of evidence, on shard 0 for all shards: every ten seconds it notes the ends
// of the partitions, has everything saved that was published so far, and then puts what was noted.
class Rounds {
 public:
  // What is done on all shards; `done` runs on shard 0 when all are through, with the first error.
  struct Steps {
    std::function<void(Done<void> done)> note_ends;
    std::function<void(Done<void> done)> save_all;
    std::function<void(Done<void> done)> put_positions;
  };

  Rounds(const Place& place, Steps steps) : place_(place), steps_(std::move(steps)) {}
  ~Rounds() { place_.loop->cancel(timer_); }
  Rounds(const Rounds&) = delete;
  Rounds& operator=(const Rounds&) = delete;

  void start();
  // The last one, when nothing is published any more; without start(), positions stay where they
  // are. Errors: those of the table.
  void finish(Done<void> done);

 private:
  void wake(runtime::Duration delay);
  void begin();
  void end(Result<void> result);

  const Place& place_;
  const Steps steps_;
  bool moves_ = false;  // started
  bool under_way_ = false;
  bool is_last_ = false;  // it began after finish()
  runtime::TimePoint begun_{};
  runtime::TimerId timer_ = runtime::TimerId::none;
  Done<void> finished_;
};

}  // namespace sluice::sessions
