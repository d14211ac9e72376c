#include "log/read_cache.h"

#include <algorithm>
#include <limits>

#include "base/assert.h"
#include "log/batch_layout.h"

namespace sluice::log {
namespace {

constexpr std::uint64_t cache_share = 4;  // one part in so many of the memory

}  // namespace

Bytes Chunk::bytes(std::uint64_t from, std::uint64_t size) const {
  const std::uint64_t until = std::min(from + size, end);
  if (until <= from) return {};
  return Bytes(memory->bytes()).subspan(from - at, until - from);
}

ReadCache::ReadCache(Config config)
    : config_(config),
      pool_(MemoryPool::create(config.chunk_size, config.size / config.chunk_size)) {
  SLUICE_ASSERT(config.chunk_size > 0 && config.chunk_size % direct_block == 0);
}

std::shared_ptr<const Chunk> ReadCache::find(const SegmentKey& segment, std::uint64_t at,
                                             std::uint64_t size) {
  // The one that begins last reaches furthest.
  const auto after = entries_.upper_bound({segment, at});
  if (after == entries_.begin()) return nullptr;
  auto& [place, entry] = *std::prev(after);
  if (place.first != segment || !entry.chunk->holds(at, size)) return nullptr;
  entry.used_at = ++clock_;
  return entry.chunk;
}

Result<std::shared_ptr<const Chunk>> ReadCache::load(const SegmentKey& segment, File& file,
                                                     const Wanted& wanted) {
  const std::uint64_t begin = block_before(wanted.at);
  const std::uint64_t least = block_after(wanted.at + wanted.size) - begin;
  const bool fits = least <= config_.chunk_size;
  if (fits) make_room();
  const auto memory = fits ? pool_->take() : std::make_shared<AlignedMemory>(least);
  const std::uint64_t most = std::max(least, block_after(wanted.ahead));
  const std::uint64_t size = std::min({memory->size(), most, block_after(wanted.end) - begin});
  SLUICE_TRY_ASSIGN(const std::size_t got, file.read_at(begin, memory->bytes().first(size)));
  auto chunk = std::make_shared<const Chunk>(
      Chunk{.memory = memory, .at = begin, .end = std::min(begin + got, wanted.end)});
  if (fits) entries_[{segment, begin}] = {chunk, ++clock_};
  return chunk;
}

// So that the chunk taken next is the one let go of here, unless somebody holds it still.
void ReadCache::make_room() {
  while (!entries_.empty() && entries_.size() >= config_.size / cache_share / config_.chunk_size) {
    entries_.erase(std::ranges::min_element(
        entries_, {}, [](const auto& entry) { return entry.second.used_at; }));
  }
}

void ReadCache::forget(const SegmentKey& first, const SegmentKey& last) {
  constexpr auto max = std::numeric_limits<std::uint64_t>::max();
  entries_.erase(entries_.lower_bound({first, 0}), entries_.upper_bound({last, max}));
}
void ReadCache::forget(const SegmentKey& segment) { forget(segment, segment); }
void ReadCache::forget(Partition partition) {
  constexpr SegmentId lowest{{std::numeric_limits<std::int64_t>::min()}, 0};
  constexpr SegmentId highest{{std::numeric_limits<std::int64_t>::max()},
                              std::numeric_limits<std::uint32_t>::max()};
  forget({partition, lowest}, {partition, highest});
}

Result<Bytes> CachedSource::bytes(std::uint64_t at, std::uint64_t size) {
  if (chunk_ && chunk_->holds(at, size)) return chunk_->bytes(at, size);
  chunk_ = cache_.find(segment_.key, at, size);
  const std::uint64_t rest = segment_.end - std::min(at, segment_.end);
  if (!chunk_ && fills_chunks() && rest >= cache_.portion_min()) {
    SLUICE_TRY_ASSIGN(
        chunk_, cache_.load(segment_.key, segment_.file, {at, size, 2 * portion_, segment_.end}));
    if (!chunk_->holds(at, size)) segment_.end = chunk_->end;  // the file is shorter than it was
  }
  return chunk_ ? chunk_->bytes(at, size) : plain_.bytes(at, size);
}

std::shared_ptr<const void> CachedSource::owner() const {
  return fills_chunks() ? chunk_ : nullptr;
}

bool CachedSource::has_batch(std::uint64_t at) const {
  if (!chunk_) return true;
  const Bytes head = chunk_->bytes(at, batch_header_size);
  if (head.size() < batch_header_size) return false;
  const auto header = decode_batch_header(head);
  return header && chunk_->holds(at, header->total_size());
}

}  // namespace sluice::log
