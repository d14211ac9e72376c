#include "log/partition_log.h"

#include <algorithm>

namespace sluice::log {

void BlockQueue::pop() {
  blocks_[head_++].reset();
  if (head_ == blocks_.size()) {
    clear();
  } else if (head_ >= 32 && head_ >= blocks_.size() / 2) {
    blocks_.erase(blocks_.begin(), blocks_.begin() + head_);
    head_ = 0;
  }
}

// Gives the memory back: a partition at rest holds none.
void BlockQueue::clear() {
  blocks_ = {};
  head_ = 0;
}

std::span<const BlockRef> BlockQueue::from(Offset offset) const {
  const auto begin = blocks_.begin() + head_;
  const auto first = std::partition_point(
      begin, blocks_.end(), [offset](const BlockRef& block) { return block->until() <= offset; });
  return {first, blocks_.end()};
}

}  // namespace sluice::log
