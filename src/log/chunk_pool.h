#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/aligned_memory.h"
#include "base/bytes.h"

namespace sluice::log {

// A stretch of a segment file in memory: positions [at, end) of it.
struct Chunk {
  explicit Chunk(std::size_t size) : memory(size) {}

  [[nodiscard]] bool holds(std::uint64_t from, std::uint64_t size) const {
    return from >= at && from + size <= end;
  }
  // What there is of [from, from + size); `from` is not below `at`.
  [[nodiscard]] Bytes bytes(std::uint64_t from, std::uint64_t size) const;

  AlignedMemory memory;
  std::uint64_t at = 0;  // a multiple of direct_block
  std::uint64_t end = 0;
};

// Chunks that are used again: fresh memory costs more than what is read into it, where each page is
// first fetched from the kernel, or by that from the host of a virtual machine.
//
// Threads: any. A chunk comes back from whoever lets go of it last, perhaps on another shard.
class ChunkPool : public std::enable_shared_from_this<ChunkPool> {
 public:
  // At most `kept_max` chunks are kept, those in use included; more exist only while they are used.
  ChunkPool(std::size_t chunk_size, std::size_t kept_max)
      : chunk_size_(chunk_size), kept_max_(kept_max) {}

  // What the chunk holds is not defined.
  [[nodiscard]] std::shared_ptr<Chunk> take();

 private:
  void give_back(std::unique_ptr<Chunk> chunk);

  const std::size_t chunk_size_;
  const std::size_t kept_max_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Chunk>> free_;
  std::size_t count_ = 0;  // of all chunks, free and in use
};

}  // namespace sluice::log
