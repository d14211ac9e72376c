#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"

namespace sluice::sim {

// The content of one simulated file: what its process reads, and what a crash may make of it.
//
// Model: a page cache over 512-byte sectors. After a crash each sector holds its content of *some*
// moment between the last sync and the crash, each sector for itself; so writes are lost, torn, or
// kept out of order, but a sector is never mixed. The size is that of some such moment too,
// whatever became of the data: a file may have grown without its data (zeros) or have data and not
// have grown. A cut survives together with the size that it set. A failed sync proves nothing for
// what was written before it, not even when a later sync succeeds; what is written again after it
// counts as new.
//
// Cost: a write copies what it overwrites, a sync forgets; neither depends on the size of the file.
class UnsyncedContent {
 public:
  static constexpr std::size_t sector_size = 512;

  [[nodiscard]] std::uint64_t size() const { return size_; }
  std::size_t read(std::uint64_t at, MutableBytes out) const;
  void write(std::uint64_t at, Bytes bytes);
  void truncate(std::uint64_t size);

  void sync();
  void sync_failed();
  void crash(Random& random);
  void flip_bit(std::uint64_t at);

 private:
  using Sector = std::array<std::byte, sector_size>;

  // One write or cut: the whole sectors it touches, as they were before, lie in undo_.
  struct Change {
    std::uint64_t first_sector;
    std::size_t sectors;
    std::size_t undo_at;
    std::uint64_t size_after;
    bool cut;
  };

  void set_zero(std::uint64_t from, std::uint64_t until);
  void make_room(std::uint64_t size);
  void save(std::uint64_t from, std::uint64_t until, std::uint64_t size_after, bool cut);
  std::byte* sector(std::uint64_t number) { return data_.data() + number * sector_size; }
  void swap_sector(const Change& change, std::size_t index);
  void undo_all();
  std::uint64_t redo_some(Random& random);
  void redo(const Change& change, std::size_t fate, Random& random);
  void restore_orphans(Random& random);
  void set_size_after_crash(std::uint64_t size);

  Buffer data_;  // whole sectors; zeros beyond size_
  std::uint64_t size_ = 0;
  std::uint64_t synced_size_ = 0;
  std::vector<Change> changes_;  // since the last sync, oldest first
  Buffer undo_;
  // Sectors of writes before a failed sync, as they were at the last sync that succeeded.
  std::map<std::uint64_t, Sector> orphans_;
};

}  // namespace sluice::sim
