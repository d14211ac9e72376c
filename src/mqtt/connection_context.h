#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "access/access.h"
#include "base/bytes.h"
#include "base/logger.h"
#include "delayed/delayed.h"
#include "hub/hub.h"
#include "hub/slots.h"
#include "mqtt/kept_back.h"
#include "mqtt/listener_context.h"
#include "mqtt/session.h"
#include "mqtt/timer_wheel.h"
#include "mqtt/wills.h"
#include "runtime/loop.h"
#include "sessions/record.h"

namespace sluice::sessions {
class Sessions;
}

namespace sluice::mqtt {

class Connection;

// Output buffers that no connection needs at the moment.
class BufferPool {
 public:
  std::unique_ptr<Buffer> acquire();
  void release(std::unique_ptr<Buffer> buffer);

 private:
  std::vector<std::unique_ptr<Buffer>> free_;
};

// What all connections of a server share. One shard's; owned by its Server, and gone with it:
// callbacks that may come later hold it weakly.
struct ConnectionContext : std::enable_shared_from_this<ConnectionContext> {
  ConnectionContext(runtime::Loop& l, hub::Hub& h, delayed::Delayed& d, access::Access& a,
                    Metrics& m, Options o);
  ~ConnectionContext();
  ConnectionContext(const ConnectionContext&) = delete;
  ConnectionContext& operator=(const ConnectionContext&) = delete;

  runtime::Loop& loop;
  hub::Hub& hub;
  delayed::Delayed& delayed;
  access::Access& access;
  Metrics& metrics;
  Options options;
  Counters counters;
  DeliveryContext delivery;
  hub::Properties properties;  // scratch of sessions
  // Constant while there are connections, which know theirs by its index.
  std::vector<std::unique_ptr<ListenerContext>> listeners;
  Buffer read_buffer;  // what a socket has to say is read into it and parsed in place
  BufferPool pool;
  hub::Slots<std::unique_ptr<Connection>> connections;
  std::vector<hub::Handle> dirty;  // to be looked at when the turn ends, each once
  KeptBack kept_back;
  TimerWheel wheel;
  Wills wills;
  LogLimit log_limit;
  sessions::Sessions* sessions = nullptr;  // none: no session outlives its connection
  std::vector<hub::Handle> unsaved;  // connections whose stored sessions have moved, each once
  // Who has claimed the client ids of connections (by index) whose sessions are not handed back
  // yet.
  std::unordered_map<std::uint32_t, Task> taken_over;
  // By a connection's index: what was skipped of one whose session is not stored.
  std::unordered_map<std::uint32_t, sessions::Lost> lost;
  // By a connection's index: where the first answer lies in its output that a trace has not seen.
  std::unordered_map<std::uint32_t, std::size_t> traced_answers;
  std::size_t without_place = 0;  // connections that wait for their CONNECT to be refused

  // Returns the listener's index.
  std::uint8_t add_listener(std::shared_ptr<Listener> listener);
  [[nodiscard]] std::uint32_t now_s() const;  // of the loop's clock
};

}  // namespace sluice::mqtt
