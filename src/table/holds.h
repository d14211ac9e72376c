#pragma once

#include <memory>
#include <set>
#include <string>

#include "base/ids.h"
#include "log/helper.h"
#include "runtime/loop.h"
#include "stream/stream.h"
#include "table/guard.h"
#include "table/store.h"

namespace sluice::table {

// Keeps the stream from compacting what a crash would have to fold again (Stream::hold). The store
// decides for itself when it makes rows durable, so it is asked, some time after writes.
class Holds {
 public:
  // `helper` for calls of the store.
  Holds(runtime::Loop& loop, stream::Stream& stream, std::shared_ptr<Store> store,
        log::Helper& helper, std::string table);
  ~Holds();
  Holds(const Holds&) = delete;
  Holds& operator=(const Holds&) = delete;

  void start(StreamId stream) { stream_id_ = stream; }
  // The slot's rows in the store are newer than its hold.
  void on_stored(std::uint32_t slot);

 private:
  void check();

  runtime::Loop& loop_;
  stream::Stream& stream_;
  const std::shared_ptr<Store> store_;
  log::Helper& helper_;
  const std::string table_;
  StreamId stream_id_;
  std::set<std::uint32_t> slots_;  // written since the last check
  runtime::TimerId timer_ = runtime::TimerId::none;
  Guard guard_;
};

}  // namespace sluice::table
