#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace sluice::table {

struct Row {
  std::string key;
  Buffer value;
  friend bool operator==(const Row&, const Row&) = default;
};

// Rows of a slot with keys from `from` on and below `until` (empty: no end), in order of the bytes
// of their keys.
struct Range {
  std::string from;
  std::string until;
  std::size_t rows_max = 1000;
  std::size_t bytes_max = 256 << 10;  // of keys and values; one row may go beyond it
};

// What was found of a range. It may be empty and yet go on.
struct Portion {
  std::vector<Row> rows;
  std::optional<std::string> next;  // where the range goes on; none: it is through
};

// The first key behind `key` in the order of bytes.
inline std::string key_after(std::string_view key) { return std::string(key) + '\0'; }

}  // namespace sluice::table
