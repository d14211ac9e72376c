#include "log/chunk_pool.h"

#include <algorithm>
#include <utility>

namespace sluice::log {

Bytes Chunk::bytes(std::uint64_t from, std::uint64_t size) const {
  const std::uint64_t until = std::min(from + size, end);
  if (until <= from) return {};
  return Bytes(memory.bytes()).subspan(from - at, until - from);
}

std::shared_ptr<Chunk> ChunkPool::take() {
  std::unique_ptr<Chunk> chunk;
  {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) {
      ++count_;
    } else {
      chunk = std::move(free_.back());
      free_.pop_back();
    }
  }
  if (!chunk) chunk = std::make_unique<Chunk>(chunk_size_);
  return {chunk.release(), [pool = shared_from_this()](Chunk* used) {
            pool->give_back(std::unique_ptr<Chunk>(used));
          }};
}

void ChunkPool::give_back(std::unique_ptr<Chunk> chunk) {
  const std::lock_guard lock(mutex_);
  if (count_ > kept_max_) {
    --count_;
    return;  // freed behind the lock
  }
  free_.push_back(std::move(chunk));
}

}  // namespace sluice::log
