#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/ids.h"
#include "log/key_map.h"

namespace sluice::log {

// Which records of a batch compaction keeps: those that are the newest of their key, as far as
// `newest` knows, but no null values below `tombstones_below`, and none without a key.
struct KeepRule {
  const KeyMap& newest;
  Offset tombstones_below;
};

struct CompactedBatch {
  enum class Kept : std::uint8_t { all, some, none } kept = Kept::all;
  Buffer bytes;                  // of `some`: the batch that takes the place of the old one
  std::uint64_t tombstones = 0;  // null values that are kept
  std::uint64_t keyless = 0;     // records that went because they have no key
};

// Compacts one valid batch. What is left keeps its offsets, timestamps, order and compression, and
// the batch its range of offsets, its producer and sequence: readers see holes. A control batch,
// and one that cannot be looked into, is kept whole.
CompactedBatch compact_batch(Bytes batch, const KeepRule& rule);

// Puts the keys of a valid batch's records from `from` on into `newest`. Answers the first offset
// for which there was no room, or where the batch ends. A batch that cannot be looked into has no
// keys.
Offset map_keys(Bytes batch, Offset from, KeyMap& newest);

}  // namespace sluice::log
