#include "base/memory_pool.h"

#include <utility>

namespace sluice {

std::shared_ptr<MemoryPool> MemoryPool::create(std::size_t piece_size, std::size_t kept_max) {
  return std::shared_ptr<MemoryPool>(new MemoryPool(piece_size, kept_max));
}

std::shared_ptr<AlignedMemory> MemoryPool::take() {
  std::unique_ptr<AlignedMemory> piece;
  {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) {
      ++count_;
    } else {
      piece = std::move(free_.back());
      free_.pop_back();
    }
  }
  if (!piece) piece = std::make_unique<AlignedMemory>(piece_size_);
  return {piece.release(), [pool = shared_from_this()](AlignedMemory* used) {
            pool->give_back(std::unique_ptr<AlignedMemory>(used));
          }};
}

void MemoryPool::give_back(std::unique_ptr<AlignedMemory> piece) {
  const std::lock_guard lock(mutex_);
  if (count_ > kept_max_) {
    --count_;
    return;  // freed behind the lock
  }
  free_.push_back(std::move(piece));
}

}  // namespace sluice
