#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/metrics.h"
#include "base/task.h"
#include "runtime/loop.h"
#include "sessions/evidence_scan.h"
#include "stream/stream.h"
#include "table/table.h"

namespace sluice::sessions {

// What the parts of one shard share. Valid from open() on.
struct Place {
  runtime::Loop* loop = nullptr;
  stream::Stream* stream = nullptr;
  table::Table* table = nullptr;
  ShardId shard;
  std::uint32_t shards = 1;
};

// The evidence in one shard's data partitions, and the positions in the table up to which all of it
// is in the sessions' progress. Who moves them (Rounds) sees to that before.
//
// A start searches what is above. Nothing holds retention back for it: that is the data of seconds.
class Evidence {
 public:
  Evidence(const Place& place, Metrics& metrics);

  // Reads the positions that lie on this shard. Errors: those of Table::scan.
  void load(Done<void> done);
  // After load(), on shard 0: positions have been put before; else nothing was ever stored.
  [[nodiscard]] bool marked() const { return marked_; }

  // Where nothing was ever stored: evidence counts from the present ends on. Done when durable.
  void begin_at_ends(Done<void> done);
  void mark(Done<void> done);  // on shard 0: the next start finds marked()

  // All that is above the positions, once after load(). A partition without one is read from its
  // start.
  void search(std::function<void(Seen)> done);

  // Notes how far the partitions are now.
  void note_ends(Task done);
  // What was noted are the positions from now on; in the table some time later.
  void put_positions();

 private:
  using OnBounds = std::function<void(Partition, const stream::Bounds&)>;
  struct Walk;

  void load_slot(std::uint32_t slot, std::string from, Done<void> done);
  void load_row(std::uint32_t slot, const table::Row& row);
  [[nodiscard]] std::vector<Partition> partitions() const;
  // Tells of all partitions, a few at a time, then `done`. When one can't be asked for just
  // now the rest is left out, or waited for if it insists.
  void ask_bounds(bool insists, OnBounds on_bounds, Task done);
  void step(const std::shared_ptr<Walk>& walk);
  void ask_one(const std::shared_ptr<Walk>& walk, Partition partition);

  const Place& place_;
  EvidenceScan scan_;
  bool marked_ = false;
  std::map<Partition, Offset> positions_;  // in the table, or on their way to it
  std::map<Partition, Offset> noted_;      // ends of those that have moved
};

}  // namespace sluice::sessions
