#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"

namespace sluice::log {

// The newest offset of each key of some stretch of a partition, for compaction. Keys are known by
// 128 bits of hash under a random seed: that two meet is less likely than a bad disk, and clients
// cannot choose keys that do.
//
// Bound: `bytes_max` of memory, while it grows too; then put() refuses new keys.
class KeyMap {
 public:
  struct Seed {
    std::uint64_t a = 0;
    std::uint64_t b = 0;
  };
  KeyMap(std::uint64_t bytes_max, Seed seed);

  // Offsets come in rising order. False: there is no room for this key.
  bool put(Bytes key, Offset offset);
  // Whether the key has an offset above `offset`.
  [[nodiscard]] bool has_newer(Bytes key, Offset offset) const;
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  struct Entry {
    std::uint64_t a = 0;
    std::uint64_t b = 0;
    Offset offset{-1};  // -1: free
  };
  [[nodiscard]] std::size_t place_of(std::uint64_t a, std::uint64_t b) const;
  bool grow();

  std::size_t entries_max_;
  Seed seed_;
  std::vector<Entry> entries_;  // open addressing; the place follows from `a`
  std::size_t size_ = 0;
};

}  // namespace sluice::log
