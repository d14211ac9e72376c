#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "base/disk.h"
#include "base/memory_pool.h"
#include "log/batch_scanner.h"
#include "log/state.h"

namespace sluice::log {

// A stretch of a segment file in memory: positions [at, end) of it.
struct Chunk {
  [[nodiscard]] bool holds(std::uint64_t from, std::uint64_t size) const {
    return from >= at && from + size <= end;
  }
  // What there is of [from, from + size); `from` is not below `at`.
  [[nodiscard]] Bytes bytes(std::uint64_t from, std::uint64_t size) const;

  std::shared_ptr<const AlignedMemory> memory;
  std::uint64_t at = 0;  // a multiple of direct_block
  std::uint64_t end = 0;
};

// What was read of segment files last, in chunks, so that several readers at about the same place
// read a file once. It takes the place of the page cache, which segments are read past
// (docs/decisions/0009-past-the-page-cache.md).
//
// A chunk begins in the block of the batch that was not there: a batch lies whole in one chunk, and
// readers that follow each other use the same ones. Few chunks are remembered, so that they stay in
// the caches of the processor, and readers close together need no more; the rest of the memory is
// for chunks that are on their way to clients.
//
// Owner: the SegmentStore, on its helper. Whoever holds a chunk may do so on any thread and for any
// time; its memory is used again once nobody does.
// Stale: a segment's bytes never change below the size that the log knows. Whoever deletes the file
// tells forget().
class ReadCache {
 public:
  struct Config {
    std::uint64_t size = 16 << 20;     // of memory that is kept; a quarter of it for the cache
    std::size_t chunk_size = 2 << 20;  // whole blocks (direct_block); this is a huge page
  };
  explicit ReadCache(Config config);

  // What is read in portions smaller than this, or is not more of its segment, is left to the page
  // cache: it would not fill a chunk, and it would hold one.
  [[nodiscard]] std::size_t portion_min() const { return config_.chunk_size / 8; }

  // A chunk that holds all of [at, at + size); nullptr if there is none.
  std::shared_ptr<const Chunk> find(const SegmentKey& segment, std::uint64_t at,
                                    std::uint64_t size);
  // What is to be read of a segment file: [at, at + size), and on as far as a chunk takes it, but
  // no more than `ahead` and nothing from `end` on.
  struct Wanted {
    std::uint64_t at = 0;
    std::uint64_t size = 0;
    std::uint64_t ahead = 0;
    std::uint64_t end = 0;
  };
  // It lacks a part of [at, at + size) only if the file is shorter. `file` is read in whole blocks,
  // as OpenMode::read_direct wants it.
  Result<std::shared_ptr<const Chunk>> load(const SegmentKey& segment, File& file,
                                            const Wanted& wanted);

  void forget(const SegmentKey& segment);
  void forget(Partition partition);

 private:
  using Place = std::pair<SegmentKey, std::uint64_t>;  // where a chunk begins
  struct Entry {
    std::shared_ptr<const Chunk> chunk;
    std::uint64_t used_at = 0;
  };

  void make_room();
  void forget(const SegmentKey& first, const SegmentKey& last);

  Config config_;
  std::shared_ptr<MemoryPool> pool_;
  std::map<Place, Entry> entries_;
  std::uint64_t clock_ = 0;  // counts uses
};

// A segment file as a reader scans it who wants about `portion` bytes: by chunks of the cache, or
// as `plain` where a portion is too small for that.
class CachedSource final : public BatchSource {
 public:
  // What of the segment file [0, end) is read, and how.
  struct Segment {
    SegmentKey key;
    File& file;  // for chunks
    std::uint64_t end = 0;
  };
  CachedSource(ReadCache& cache, Segment segment, BatchSource& plain, std::uint64_t portion)
      : cache_(cache),
        segment_(segment),
        plain_(plain),
        portion_(std::min<std::uint64_t>(portion, portion_max)) {}

  Result<Bytes> bytes(std::uint64_t at, std::uint64_t size) override;
  // What keeps the bytes that were handed out last. None: they are the source's, and change.
  [[nodiscard]] std::shared_ptr<const void> owner() const;
  // Whether the batch at `at` can be had without reading a further chunk.
  [[nodiscard]] bool has_batch(std::uint64_t at) const;

 private:
  [[nodiscard]] bool fills_chunks() const { return portion_ >= cache_.portion_min(); }

  static constexpr std::uint64_t portion_max = std::uint64_t{1} << 32;

  ReadCache& cache_;
  Segment segment_;
  BatchSource& plain_;
  std::uint64_t portion_;
  std::shared_ptr<const Chunk> chunk_;
};

}  // namespace sluice::log
