#pragma once

#include <chrono>
#include <cstddef>
#include <deque>

#include "hub/handle.h"
#include "runtime/loop.h"

namespace sluice::mqtt {

// Connections whose output waits for more of it, in the order in which they began to.
//
// When many sessions come back at once the log gives each a message now and then. Sent one by one
// they cost a system call each, and one for each acknowledgement.
class KeptBack {
 public:
  static constexpr std::size_t bytes_max = 1 << 10;          // of a connection: then it is sent
  static constexpr std::size_t connections_max = 128 << 10;  // of a shard: more do not wait
  static constexpr runtime::Duration time_max = std::chrono::seconds(4);

  // False: there are too many.
  bool add(hub::Handle connection, runtime::TimePoint now) {
    if (waiting_.size() == connections_max) return false;
    waiting_.push_back({connection, now});
    return true;
  }
  // Calls `send` for those who have waited for `time_max`.
  template <class Send>
  void release(runtime::TimePoint now, Send send) {
    while (!waiting_.empty() && waiting_.front().since + time_max <= now) {
      send(waiting_.front().connection);
      waiting_.pop_front();
    }
  }
  [[nodiscard]] bool empty() const { return waiting_.empty(); }

 private:
  struct Waiting {
    hub::Handle connection;
    runtime::TimePoint since;
  };
  std::deque<Waiting> waiting_;
};

}  // namespace sluice::mqtt
