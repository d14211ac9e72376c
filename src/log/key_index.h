#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "log/batch_scanner.h"
#include "log/key_hint.h"
#include "log/state.h"

namespace sluice::log {

// Positions [at, until) of a segment file.
struct Stretch {
  std::uint64_t at = 0;
  std::uint64_t until = 0;
  friend bool operator==(const Stretch&, const Stretch&) = default;
};

// Which batches of a segment a reader has to look at: those that begin in one of some stretches.
class Selection {
 public:
  // Where so many are to be read, reading on is cheaper than jumping.
  static std::size_t stretches_max(std::uint64_t segment_size) { return 64 + segment_size / 4096; }
  static constexpr std::uint64_t none = UINT64_MAX;

  Selection() = default;  // no batch
  // In any order, perhaps overlapping.
  explicit Selection(std::vector<Stretch> stretches);

  [[nodiscard]] bool empty() const { return stretches_.empty(); }
  [[nodiscard]] bool is_all(std::uint64_t segment_size) const {
    return next(0) == 0 && stretches_.front().until >= segment_size;
  }
  // The first position at or behind `at` that is selected, or none.
  [[nodiscard]] std::uint64_t next(std::uint64_t at) const;
  [[nodiscard]] const std::vector<Stretch>& stretches() const { return stretches_; }

 private:
  std::vector<Stretch> stretches_;  // in order, apart from each other
};

// In which batches of a sealed segment which keys are: the head of an index file, which says where
// to look and what need not be looked for. The keys themselves are read block by block.
//
// An index may say nothing of some stretches of its segment: they are always selected. Made by
// KeyIndexBuilder. Format: docs/formats/key-index.md
class KeyIndex {
 public:
  static constexpr std::size_t key_size_max = 256;  // longer keys are cut to it

  // Errc::corrupt when it is damaged, or that of another segment, or of the segment at another
  // size.
  static Result<KeyIndex> load(BatchSource& file, const Segment& segment);
  KeyIndex(KeyIndex&&) = default;
  KeyIndex& operator=(KeyIndex&&) = default;

  // What to read for `hint`; errors as load(). `file` is the one that it was loaded from.
  Result<Selection> select(const KeyHint& hint, BatchSource& file) const;

 private:
  struct Block {
    std::uint64_t at = 0;  // in the file
    std::uint32_t size = 0;
    std::string_view first;  // its first key; lies in head_
  };
  class Search;

  KeyIndex() = default;
  Result<void> parse();
  [[nodiscard]] std::size_t block_of(std::string_view key) const;

  Buffer head_;
  std::uint64_t segment_size_ = 0;
  Bytes filter_;  // these lie in head_, too
  std::vector<Stretch> unknown_;
  std::vector<Block> blocks_;
};

namespace key_index_layout {

constexpr std::uint32_t magic = 0x534c4b58;  // "SLKX"
constexpr std::uint32_t version = 1;
constexpr std::size_t crc_at = 4;  // of the rest of the head
constexpr std::size_t head_size_at = 12;
constexpr std::size_t header_size = 48;
constexpr std::size_t block_size = 4096;  // about; a block ends with the entry that passes it

}  // namespace key_index_layout
}  // namespace sluice::log
