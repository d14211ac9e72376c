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

// Brings the rows of some slots up to what the stream held when it was asked: asks for the ends of
// all of them at once (far away, each answer takes a while), then reads from each slot's fold
// offset, one slot after the other, and hands the blocks to the store.
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
  // A slot that is to be folded, and what its partition held when it was asked.
  struct Work {
    Part part;
    Offset start;
    Offset end;
  };

  void fold(std::size_t at);
  void look_up(std::size_t at);
  void next_slot();
  void finish();
  void begin();
  void begin_anew();
  void read();
  void take(const stream::ReadAnswer& answer);
  [[nodiscard]] bool may_lack_tombstones(const stream::ReadAnswer& answer) const;
  // Busy: `again` runs a little later.
  template <class Again>
  void fail(std::uint32_t slot, const Error& error, Again again);
  [[nodiscard]] Partition partition(const Work& work) const { return {info_.id, work.part.slot}; }
  [[nodiscard]] Partition partition() const { return partition(work_.back()); }

  runtime::Loop& loop_;
  stream::Stream& stream_;
  StoreWriter& writer_;
  const std::string table_;
  Counter& refolds_;
  stream::StreamInfo info_;
  std::vector<Work> work_;     // the last one is read, when all are known
  std::size_t not_known_ = 0;  // whose ends have not been told yet
  stream::CommitSink* sink_ = nullptr;
  Done<void> done_;  // null after a failure: answers that are still under way count no more
  Offset next_;
  bool continues_ = false;      // rows of before are kept
  std::uint32_t refolded_ = 0;  // slots
  Guard guard_;
};

}  // namespace sluice::table
