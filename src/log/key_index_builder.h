#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "log/block.h"
#include "log/key_index.h"
#include "log/state.h"

namespace sluice::log {

// Gathers which keys are in which batches of one segment, batch by batch in the order of the file.
//
// Kept of each key are its bytes once and 24 to 32 bytes more, of each batch that a key is in four.
// Who looks at memory() may give up at any time; what is not said stays unknown, and is read.
// Records without a key are in no index, since nobody can want them by key. Not thread-safe.
class KeyIndexBuilder {
 public:
  // The first batch to come begins at `from`; of what lies before nothing is known.
  explicit KeyIndexBuilder(std::uint64_t from = 0);

  // The next batch. Precondition: its records have been placed.
  void add(const Block& block);
  // So many bytes of which nothing is known.
  void add_unknown(std::uint64_t size);

  [[nodiscard]] std::uint64_t until() const { return until_; }  // where the next batch begins
  [[nodiscard]] std::uint64_t unknown_bytes() const { return unknown_bytes_; }
  [[nodiscard]] std::uint64_t memory() const;  // bytes

  // The index file, in two pieces one behind the other. `segment` has the size until().
  struct File {
    Buffer head;
    Buffer blocks;
  };
  [[nodiscard]] File encode(const Segment& segment) const;

 private:
  struct Key {
    std::uint32_t at = 0;  // in texts_
    std::uint32_t hash = 0;
    std::uint32_t last_batch = 0;  // number of the last one that it was in, from 1
    std::uint16_t size = 0;
    std::uint16_t postings = 0;  // beyond postings_max: very many
  };
  struct Batch {
    std::uint32_t at = 0;            // in the file
    std::uint32_t postings_end = 0;  // its keys are postings_ up to here
  };

  bool note_all(Bytes content, std::span<const Record> records);
  bool note(Bytes key, std::uint32_t hash);
  [[nodiscard]] std::optional<std::uint32_t> find_or_add(Bytes key, std::uint32_t hash);
  void grow_table();
  void mark_unknown(std::uint64_t at, std::uint64_t until);
  [[nodiscard]] std::string_view text(const Key& key) const;
  [[nodiscard]] std::vector<std::uint32_t> sorted_keys() const;
  [[nodiscard]] std::vector<std::uint32_t> positions_by_key(
      std::vector<std::uint32_t>& ends_by_key) const;

  std::uint64_t until_;
  std::uint64_t unknown_bytes_ = 0;
  Buffer texts_;
  std::vector<Key> keys_;
  std::vector<std::uint32_t> table_;     // open addressing by hash: number of a key + 1; 0: free
  std::vector<std::uint32_t> postings_;  // numbers of keys, batch by batch
  std::vector<Batch> batches_;           // those that were looked into
  std::vector<Stretch> unknown_;
  bool full_ = false;  // keys can't be looked up any more
};

}  // namespace sluice::log
