#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

namespace sluice::log {

// Where to begin reading in one segment, by offset and by time: an entry for about every 64 KiB.
// Can always be rebuilt by reading the segment. Format: docs/formats/segment.md
class SegmentIndex {
 public:
  static constexpr std::uint64_t spacing = 64 * 1024;

  // Batches in order. `at` is the batch's position in the file.
  void add(Offset from, std::uint64_t at, WallMs max_timestamp);
  // Where to begin for the batch that holds `offset`: at or before it.
  [[nodiscard]] std::uint64_t find(Offset offset) const;
  // Where to begin for the first record of `when` or later: all batches before are older.
  [[nodiscard]] std::uint64_t find_time(WallMs when) const;
  // The first offset of an entry at or before the position `at`; nothing if there is none.
  [[nodiscard]] std::optional<Offset> offset_at(std::uint64_t at) const;
  // The nearest entry behind `at`, to read on beyond damage; `none` if there is none.
  static constexpr std::uint64_t none = UINT64_MAX;
  [[nodiscard]] std::uint64_t next_entry(std::uint64_t at) const;

  [[nodiscard]] Buffer encode(Offset base, std::uint64_t segment_size) const;
  // Errc::corrupt when it is damaged or that of another segment, or of the segment at another size.
  static Result<SegmentIndex> decode(Bytes bytes, Offset base, std::uint64_t segment_size);

 private:
  struct Entry {
    Offset from;
    std::uint64_t at = 0;
    WallMs max_before = -1;  // largest timestamp of all batches before `at`
  };
  [[nodiscard]] std::vector<Entry>::const_iterator entry_behind(std::uint64_t at) const;

  std::vector<Entry> entries_;
  WallMs max_timestamp_ = -1;
};

}  // namespace sluice::log
