#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/disk.h"

namespace sluice {

// A file written past the page cache (OpenMode::write_direct).
//
// Pieces of any size are gathered in a buffer of the calling thread and go to `direct` in whole
// blocks, the last one filled up with zeros. A write that goes on there begins with the bytes of
// that block again, so that nothing is read back.
//
// Errors: those of the two files. A failed write may be repeated at the same place.
class DirectFile final : public File {
 public:
  // Both are the same file. `direct` gets only writes of whole blocks, from aligned memory.
  DirectFile(std::unique_ptr<File> plain, std::unique_ptr<File> direct)
      : plain_(std::move(plain)), direct_(std::move(direct)) {}

  Result<std::size_t> read_at(std::uint64_t at, MutableBytes out) override;
  Result<void> write_at(std::uint64_t at, std::span<const Bytes> pieces) override;
  Result<void> sync() override { return plain_->sync(); }
  Result<void> truncate(std::uint64_t size) override;
  // Without the zeros that fill the last block, as far as this object wrote it.
  Result<std::uint64_t> size() override;
  void start_writeback(std::uint64_t, std::uint64_t) override {}  // it is on its way already

 private:
  // The block in which the last write ended, up to that end.
  struct Tail {
    std::uint64_t at = 0;
    Buffer bytes;  // none: the last write ended between two blocks, or is not known

    [[nodiscard]] std::uint64_t end() const { return at + bytes.size(); }
  };

  Result<void> begin_at(std::uint64_t at);

  std::unique_ptr<File> plain_;
  std::unique_ptr<File> direct_;
  Tail tail_;
};

}  // namespace sluice
