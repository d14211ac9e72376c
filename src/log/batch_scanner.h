#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/disk.h"
#include "base/ids.h"
#include "base/result.h"
#include "log/record_batch.h"

namespace sluice::log {

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
  BatchScanner(File& file, Range range, std::size_t chunk_size)
      : file_(file), range_(range), chunk_(chunk_size) {}

  struct Found {
    std::uint64_t at = 0;
    Bytes bytes;  // valid until the next call
    BatchHeader header;
    bool after_damage = false;

    [[nodiscard]] Offset from() const { return {header.base_offset}; }
    [[nodiscard]] Offset until() const { return from() + header.last_offset_delta + 1; }
  };
  // Nothing at the end; then ended_in_damage() says whether the last bytes were no batch.
  Result<std::optional<Found>> next();
  [[nodiscard]] bool ended_in_damage() const { return damage_; }

 private:
  Result<std::optional<Found>> try_at(std::uint64_t at);
  Result<Bytes> window(std::uint64_t at, std::size_t size);

  File& file_;
  Range range_;
  std::size_t chunk_;
  Buffer buffer_;
  std::uint64_t buffer_at_ = 0;
  bool damage_ = false;
};

}  // namespace sluice::log
