#include "log/tail_cache.h"

namespace sluice::log {

void TailCache::add(PartitionLog& partition, BlockRef block) {
  const std::uint64_t footprint = block->footprint();
  bytes_ += footprint;
  order_.push_back({&partition, footprint});
  partition.cached.push(std::move(block));
}

void TailCache::evict() {
  while (bytes_ > budget_ && !order_.empty()) {
    const Entry oldest = order_.front();
    if (oldest.partition->cached.front()->until() > oldest.partition->written_until) return;
    oldest.partition->cached.pop();
    bytes_ -= oldest.footprint;
    order_.pop_front();
  }
}

void TailCache::forget(PartitionLog& partition) {
  std::erase_if(order_, [&](const Entry& entry) {
    if (entry.partition != &partition) return false;
    bytes_ -= entry.footprint;
    return true;
  });
  partition.cached.clear();
}

}  // namespace sluice::log
