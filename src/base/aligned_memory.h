#pragma once

#include <cstddef>
#include <memory>
#include <new>

#include "base/bytes.h"
#include "base/disk.h"

namespace sluice {

// Memory as direct I/O wants it: it begins at a multiple of direct_block. Not initialized.
class AlignedMemory {
 public:
  explicit AlignedMemory(std::size_t size)
      : memory_(static_cast<std::byte*>(::operator new(size, alignment))), size_(size) {}

  [[nodiscard]] MutableBytes bytes() const { return {memory_.get(), size_}; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  static constexpr std::align_val_t alignment{direct_block};
  struct Delete {
    void operator()(std::byte* memory) const { ::operator delete(memory, alignment); }
  };

  std::unique_ptr<std::byte, Delete> memory_;
  std::size_t size_;
};

}  // namespace sluice
