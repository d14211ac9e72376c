#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/disk.h"
#include "log/key_hint.h"
#include "log/key_index.h"
#include "log/key_index_builder.h"
#include "log/state.h"

namespace sluice::log {

struct SegmentWrite;

std::string key_index_path(Partition partition, SegmentId segment);

// A segment that is full, and what was gathered of its keys while it was written.
struct SealedKeys {
  Partition partition;
  Segment segment;
  KeyIndexBuilder keys;
};

// The key indexes of a shard's segments: gathers those of the segments that are being written, and
// asks those of the others.
//
// Bound: `memory` for all that are being gathered; beyond, the largest is given up, and its segment
// gets an index when somebody asks for one (key_indexer.h). Of the answers the last few are kept.
// Owner: the SegmentStore, on its helper.
class KeyIndexes {
 public:
  // memory = 0: nothing is gathered, and nobody is answered.
  KeyIndexes(Disk& disk, std::uint64_t memory) : disk_(disk), memory_(memory) {}

  // The write has been done.
  void on_written(const SegmentWrite& write);
  // Segments that were sealed since the last call, and whose keys are worth an index.
  std::vector<SealedKeys> take_sealed() { return std::exchange(sealed_, {}); }

  // What of a sealed segment to read for `hint`; null if there is no index that could tell.
  std::shared_ptr<const Selection> select(Partition partition, const Segment& segment,
                                          const KeyHintRef& hint);
  // The segment goes, or is written to from now on.
  Result<void> remove(Partition partition, SegmentId segment);
  // Nothing is known any more of the segment that is being written.
  void forget(Partition partition);

  [[nodiscard]] bool enabled() const { return memory_ > 0; }

 private:
  struct Gathered {
    SegmentId segment;
    KeyIndexBuilder keys;
    std::uint64_t memory = 0;
    bool given_up = false;
  };
  struct Answer {
    SegmentKey segment;
    KeyHintRef hint;
    std::shared_ptr<const Selection> selection;
  };

  Gathered& gathered_for(const SegmentWrite& write);
  void gather(Gathered& gathered, const SegmentWrite& write);
  void give_up_largest();
  void seal(const SegmentWrite& write);
  void discard(const SegmentKey& key, const Error& error);
  Result<Selection> ask(const SegmentKey& key, const Segment& segment, const KeyHint& hint);

  Disk& disk_;
  std::uint64_t memory_;
  std::map<Partition, Gathered> gathered_;  // of the segment that is being written
  std::uint64_t gathered_bytes_ = 0;
  std::vector<SealedKeys> sealed_;
  std::deque<Answer> answers_;  // the last one used at the front
};

}  // namespace sluice::log
