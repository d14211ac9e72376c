#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"

namespace sluice::runtime {

class Worker;

// Monotonic time. The epoch has no meaning.
using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;

struct Endpoint {
  std::string address;     // numeric: "127.0.0.1", "::1"; or a Unix socket: "unix:/run/hub.sock"
  std::uint16_t port = 0;  // 0: any free one; a Unix socket has none
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};
std::string to_string(const Endpoint& endpoint);  // "127.0.0.1:1883", "[::1]:1883", "unix:/x"
Result<Endpoint> parse_endpoint(std::string_view text);
bool is_unix(const Endpoint& endpoint);
// The numeric text of an address, 4 or 16 bytes in network order. One of IPv4 that is mapped into
// IPv6 reads as what it is.
std::string address_text(Bytes address);

// A connected TCP or Unix socket of one loop. A plain number so that an idle connection costs no
// object here.
struct Socket {
  int value = -1;
  [[nodiscard]] bool valid() const { return value >= 0; }
};

// What a connection implements. Called on its loop only. Level-triggered: as long as there is
// something to read and reading is asked for, on_readable is called again in each turn, so a
// handler may stop after its fair share.
class SocketHandler {
 public:
  virtual void on_readable() = 0;
  virtual void on_writable() = 0;  // only while asked for by watch()
 protected:
  ~SocketHandler() = default;
};

// What a front end implements to take connections.
class AcceptHandler {
 public:
  // Takes ownership of `socket`; the handler attaches it (Loop::attach) or closes it.
  virtual void on_accept(Socket socket) = 0;

 protected:
  ~AcceptHandler() = default;
};

// What is done at the end of a turn, in this order; within a phase in the order of registration.
enum class TurnPhase : std::uint8_t {
  gather,    // what came in during the turn becomes batches
  store,     // the log writes them
  exchange,  // other shards get theirs
  send,      // sockets are flushed
};

// Called at the end of each turn of the loop, after all sockets, timers, posts.
class TurnHook {
 public:
  virtual void on_turn_end() = 0;

 protected:
  ~TurnHook() = default;
};

struct Interest {
  bool read = true;
  bool write = false;
  friend bool operator==(const Interest&, const Interest&) = default;
};

enum class TimerId : std::uint64_t { none = 0 };

// How many bytes went over; would_block and closed are not errors worth a text on the hot path.
struct Transfer {
  enum class State : std::uint8_t { ok, would_block, closed } state = State::ok;
  std::size_t bytes = 0;
};

// The event loop of one shard: sockets, timers, posts, time. One implementation is real (epoll),
// one is simulated (sim/). All calls are made on the loop's own thread, except post_from_outside.
//
// A turn: events of sockets (bounded), due timers, posted tasks, then the turn hooks.
class Loop {
 public:
  virtual ~Loop() = default;

  // Time of the current turn: read once per turn, so it may lag by the length of the turn.
  [[nodiscard]] virtual TimePoint now() const = 0;
  [[nodiscard]] virtual WallMs wall_ms() const = 0;

  // Runs `task` in this loop's next turn.
  virtual void post(Task task) = 0;
  // The same from any thread; wakes the loop only if it sleeps.
  virtual void post_from_outside(Task task) = 0;

  virtual TimerId run_at(TimePoint when, Task task) = 0;
  virtual void cancel(TimerId timer) = 0;
  TimerId run_after(Duration delay, Task task) { return run_at(now() + delay, std::move(task)); }

  virtual void add_turn_hook(TurnHook& hook, TurnPhase phase) = 0;
  virtual void remove_turn_hook(TurnHook& hook) = 0;
  // There is something for the hooks of `phase`: they run at the end of this turn, or, if their
  // phase has come or no turn is under way, of another one at once.
  virtual void need_turn_end(TurnPhase phase) = 0;

  // Listens and accepts on this loop. Several loops of a process may listen on one endpoint
  // (SO_REUSEPORT); the kernel spreads connections over them. Returns the address really bound.
  // `handler` outlives the loop or unlisten.
  virtual Result<Endpoint> listen(const Endpoint& endpoint, AcceptHandler& handler) = 0;
  virtual void unlisten(AcceptHandler& handler) = 0;

  // `handler` gets the events of `socket` from now on, at first for reading only.
  virtual void attach(Socket socket, SocketHandler& handler) = 0;
  virtual void watch(Socket socket, Interest interest) = 0;
  // Closes at once; the handler is not called again, not even for events of the current turn.
  virtual void close(Socket socket) = 0;
  virtual Transfer receive(Socket socket, MutableBytes into) = 0;
  virtual Transfer send(Socket socket, std::span<const Bytes> pieces) = 0;
  [[nodiscard]] virtual Endpoint local_endpoint(Socket socket) const = 0;
  [[nodiscard]] virtual Endpoint peer_endpoint(Socket socket) const = 0;

  // A helper for blocking work whose `done` runs on this loop. Lives as long as the loop.
  virtual std::unique_ptr<Worker> make_worker(std::string_view name) = 0;
};

}  // namespace sluice::runtime
