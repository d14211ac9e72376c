#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <unordered_map>

#include "base/ids.h"
#include "base/metrics.h"
#include "runtime/loop.h"
#include "sessions/record.h"
#include "stream/stream.h"

namespace sluice::sessions {

// What the data partitions tell of QoS 2 publishes of stored sessions (log::Qos2Evidence): of each
// session and packet id the highest number. Its size is bounded by what sessions may have open.
using Seen = std::unordered_map<Uid, std::unordered_map<std::uint16_t, std::uint64_t>>;
using SeenRef = std::shared_ptr<const Seen>;

void note_evidence(Seen& seen, Uid uid, std::uint16_t packet_id, std::uint64_t n);
void note_evidence(Seen& seen, const Seen& more);
// Adds to `progress` what it does not know yet: packet ids whose publishes are in the log, in the
// order of their numbers. False: there is nothing.
bool absorb(const Seen& seen, Uid uid, Progress& progress);

// Reads stretches of data partitions for their evidence, a few at a time.
//
// Failure: reads are tried again without end. Where the log begins above a stretch, the rest is
// read. A batch that can't be looked into has none.
class EvidenceScan {
 public:
  EvidenceScan(runtime::Loop& loop, stream::Stream& stream, Metrics& metrics);

  void add(Partition partition, Offset from, Offset end) {
    waiting_.push_back({partition, from, end});
  }
  void run(std::function<void(Seen)> done);  // once

 private:
  struct Part {
    Partition partition;
    Offset next;
    Offset end;
  };

  void start_more();
  void read(Part part);
  void on_read(Part part, const Result<stream::ReadAnswer>& answer);
  void skip_lost(Part part);
  void end_part();
  void look_at(const stream::Block& block, Offset from);

  runtime::Loop& loop_;
  stream::Stream& stream_;
  Counter& offsets_;
  std::deque<Part> waiting_;
  std::size_t reading_ = 0;
  Seen seen_;
  std::function<void(Seen)> done_;
};

}  // namespace sluice::sessions
