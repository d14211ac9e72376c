#pragma once

#include "base/task.h"

namespace sluice::runtime {

// A helper thread that does blocking work for one shard, in order. The real one is a thread; the
// simulated one runs the job at a later virtual moment on the simulation's thread.
//
// Bound: callers keep at most one job of a kind under way (the journal) or count their own (segment
// reads), so the queue has no bound of its own.
class Worker {
 public:
  virtual ~Worker() = default;
  // Runs `job` on the helper, then `done` on the shard's loop. Jobs of one worker run in the order
  // of submission. After stop() nothing is taken; what was submitted before still runs, and its
  // `done` too if the loop still turns.
  virtual void submit(Task job, Task done) = 0;
};

}  // namespace sluice::runtime
