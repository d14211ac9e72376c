#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "runtime/real_loop.h"

namespace sluice::runtime {

// The shards of a process: one loop each, run by one thread each ("shard-0", ...).
//
// Loops exist from the constructor on and may be set up before start(), on the constructing thread.
// stop() ends them in the reverse order and waits for each; what was posted and has not run is
// dropped with the loops, by the destructor.
class Shards {
 public:
  explicit Shards(std::size_t count);
  ~Shards();
  Shards(const Shards&) = delete;
  Shards& operator=(const Shards&) = delete;

  [[nodiscard]] std::size_t count() const { return loops_.size(); }
  [[nodiscard]] RealLoop& loop(std::size_t shard) { return *loops_.at(shard); }
  [[nodiscard]] std::vector<Loop*> loops();

  void start();
  // Not from a shard. A second call has no effect.
  void stop();

 private:
  std::vector<std::unique_ptr<RealLoop>> loops_;
  std::vector<std::thread> threads_;
};

}  // namespace sluice::runtime
