#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/disk.h"
#include "base/ids.h"
#include "base/result.h"
#include "log/record_batch.h"

namespace sluice::log {

// Where a scanner finds the bytes of a file.
class BatchSource {
 public:
  // `size` bytes from `at` on, fewer only where the file ends. Valid until the next call.
  virtual Result<Bytes> bytes(std::uint64_t at, std::uint64_t size) = 0;

 protected:
  ~BatchSource() = default;
};

// The bytes [0, end) of a file, read ahead in steps into a buffer of its own.
class FileSource final : public BatchSource {
 public:
  FileSource(File& file, std::uint64_t end, std::size_t step)
      : file_(file), end_(end), step_(step) {}

  Result<Bytes> bytes(std::uint64_t at, std::uint64_t size) override;

 private:
  File& file_;
  std::uint64_t end_;
  std::size_t step_;
  Buffer buffer_;
  std::uint64_t buffer_at_ = 0;
};

// Reads the batches of a segment file in order, each checked, and goes on behind damage at the next
// byte where a whole batch begins that can stand there. On a helper thread, or before the shards
// run.
class BatchScanner {
 public:
  // What the scan may look at: positions [at, end), batches with offsets in [floor, ceiling).
  struct Range {
    std::uint64_t at = 0;
    std::uint64_t end = 0;
    Offset floor;
    Offset ceiling;
  };
  BatchScanner(BatchSource& source, Range range) : source_(source), range_(range) {}

  struct Found {
    std::uint64_t at = 0;
    Bytes bytes;  // the source's; valid until the next call
    BatchHeader header;
    bool after_damage = false;

    [[nodiscard]] Offset from() const { return {header.base_offset}; }
    [[nodiscard]] Offset until() const { return from() + header.last_offset_delta + 1; }
  };
  // Goes on at a position further on where a batch begins.
  void seek(std::uint64_t at) { range_.at = at; }
  // Nothing at the end; then ended_in_damage() says whether the last bytes were no batch.
  Result<std::optional<Found>> next();
  [[nodiscard]] bool ended_in_damage() const { return damage_; }

 private:
  Result<std::optional<Found>> try_at(std::uint64_t at);

  BatchSource& source_;
  Range range_;
  bool damage_ = false;
};

}  // namespace sluice::log
