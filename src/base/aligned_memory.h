#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

#include "base/bytes.h"
#include "base/disk.h"

namespace sluice {

// Memory as direct I/O wants it: it begins at a multiple of direct_block, and `size` is one. Where
// it fills huge pages it asks for them: the kernel then holds few pages in place during a transfer
// instead of hundreds. Not initialized.
class AlignedMemory {
 public:
  explicit AlignedMemory(std::size_t size) : size_(size) {
    const bool fills_huge_pages = size % huge_page == 0;
    const std::size_t alignment = fills_huge_pages ? huge_page : direct_block;
    memory_.reset(static_cast<std::byte*>(std::aligned_alloc(alignment, size)));
    if (!memory_) throw std::bad_alloc();
    if (fills_huge_pages) ::madvise(memory_.get(), size, MADV_HUGEPAGE);  // a hint
  }

  [[nodiscard]] MutableBytes bytes() const { return {memory_.get(), size_}; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  static constexpr std::size_t huge_page = 2 << 20;  // of x86-64, and of arm64 with 4 KiB pages
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };

  std::unique_ptr<std::byte, Free> memory_;
  std::size_t size_;
};

}  // namespace sluice
