#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/metrics.h"
#include "base/task.h"
#include "stream/stream.h"
#include "table/guard.h"
#include "table/store.h"
#include "table/store_writer.h"

namespace sluice::table {

// Brings the rows of some slots up to what the stream held when it was asked: reads from each
// slot's fold offset, one slot after the other, and hands the blocks to the store.
//
// Where the rows can't be gone on with, the slot is cleared and folded from the start of its
// partition: they are of another life of the stream; their fold offset is beyond its end (the log
// lost what was never synced) or below its start; or compaction took records from what is to be
// folded, so long after the rows were folded that tombstones may be among them.
class Folder {
 public:
  Folder(runtime::Loop& loop, stream::Stream& stream, StoreWriter& writer, std::string table,
         Metrics& metrics);

  struct Part {
    std::uint32_t slot;
    KeptSlot kept;
  };
  // `sink` sees what becomes visible afterwards. Errors: those of the stream.
  void run(stream::StreamInfo stream, std::vector<Part> parts, stream::CommitSink& sink,
           Done<void> done);

 private:
  void next_slot();
  void finish();
  void begin(stream::Bounds bounds);
  void begin_anew();
  void read();
  void take(const stream::ReadAnswer& answer);
  [[nodiscard]] bool may_lack_tombstones(const stream::ReadAnswer& answer) const;
  // Busy: `again` runs a little later.
  void fail(const Error& error, void (Folder::*again)());
  [[nodiscard]] Partition partition() const { return {info_.id, parts_.back().slot}; }

  runtime::Loop& loop_;
  stream::Stream& stream_;
  StoreWriter& writer_;
  const std::string table_;
  Counter& refolds_;
  stream::StreamInfo info_;
  std::vector<Part> parts_;  // the last one is being folded
  stream::CommitSink* sink_ = nullptr;
  Done<void> done_;
  Offset start_;
  Offset next_;
  Offset end_;
  bool continues_ = false;      // rows of before are kept
  std::uint32_t refolded_ = 0;  // slots
  Guard guard_;
};

}  // namespace sluice::table
