#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "base/aligned_memory.h"

namespace sluice {

// Pieces of memory of one size that are used again: fresh memory costs more than what is read into
// it, where each page is first fetched from the kernel, or by that from the host of a virtual
// machine.
//
// Threads: any. A piece comes back from whoever lets go of it last.
class MemoryPool : public std::enable_shared_from_this<MemoryPool> {
 public:
  // At most `kept_max` pieces are kept, those in use included; more exist only while they are used.
  static std::shared_ptr<MemoryPool> create(std::size_t piece_size, std::size_t kept_max);

  // What it holds is not defined. It may outlive the pool.
  [[nodiscard]] std::shared_ptr<AlignedMemory> take();

 private:
  MemoryPool(std::size_t piece_size, std::size_t kept_max)
      : piece_size_(piece_size), kept_max_(kept_max) {}
  void give_back(std::unique_ptr<AlignedMemory> piece);

  const std::size_t piece_size_;
  const std::size_t kept_max_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<AlignedMemory>> free_;
  std::size_t count_ = 0;  // of all pieces, free and in use
};

}  // namespace sluice
