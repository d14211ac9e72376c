#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/task.h"
#include "stream/stream.h"
#include "table/store.h"
#include "table/store_writer.h"

namespace sluice::table {

// Brings the rows of some slots up to what the stream held when it was asked: reads from each
// slot's fold offset, one slot after the other, and hands the blocks to the store. Where the rows
// can't be gone on with, the slot is cleared and folded from the start of its partition.
class Folder {
 public:
  Folder(runtime::Loop& loop, stream::Stream& stream, StoreWriter& writer, std::string table);

  struct Part {
    std::uint32_t slot;
    KeptSlot kept;
  };
  // `sink` sees what becomes visible afterwards. Errors: those of the stream.
  void run(stream::StreamInfo stream, std::vector<Part> parts, stream::CommitSink& sink,
           Done<void> done);

 private:
  void next_slot();
  void begin(Offset start, Offset end);
  void read();
  void take(const stream::ReadAnswer& answer);
  void fail(const Error& error);
  [[nodiscard]] Partition partition() const { return {info_.id, parts_.back().slot}; }
  template <class F>
  auto guarded(F f);

  runtime::Loop& loop_;
  stream::Stream& stream_;
  StoreWriter& writer_;
  const std::string table_;
  stream::StreamInfo info_;
  std::vector<Part> parts_;  // the last one is being folded
  stream::CommitSink* sink_ = nullptr;
  Done<void> done_;
  Offset next_;
  Offset end_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace sluice::table
