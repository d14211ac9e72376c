#include "runtime/shard.h"

#include <fmt/core.h>

#include "runtime/thread_worker.h"

namespace sluice::runtime {

Shards::Shards(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) loops_.push_back(RealLoop::create());
}

Shards::~Shards() { stop(); }

std::vector<Loop*> Shards::loops() {
  std::vector<Loop*> all;
  all.reserve(loops_.size());
  for (const auto& loop : loops_) all.push_back(loop.get());
  return all;
}

void Shards::start() {
  for (std::size_t i = 0; i < count(); ++i) {
    threads_.emplace_back([this, i] {
      set_thread_name(fmt::format("shard-{}", i));
      loops_[i]->run();
    });
  }
}

void Shards::stop() {
  for (; !threads_.empty(); threads_.pop_back()) {
    loops_[threads_.size() - 1]->stop();
    threads_.back().join();
  }
}

}  // namespace sluice::runtime
