#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/bytes.h"
#include "runtime/loop.h"
#include "sim/events.h"

namespace sluice::sim {

// What the simulated network does to connections. It splits and joins whatever is sent in any case.
struct NetworkFaults {
  Duration delay_max = std::chrono::microseconds(200);
  std::uint64_t stall_one_in = 50;  // of deliveries; 0: never
  Duration stall_max = std::chrono::seconds(1);
  std::uint64_t reset_one_in = 0;      // of deliveries; 0: never
  std::size_t window_max = 64 * 1024;  // bytes under way and unread in one direction
};

enum class Side : std::uint8_t { client, server };

// A queue of bytes.
class ByteQueue {
 public:
  [[nodiscard]] std::size_t size() const { return bytes_.size() - begin_; }
  [[nodiscard]] Bytes view() const { return Bytes(bytes_).subspan(begin_); }
  void push(Bytes bytes) { append(bytes_, bytes); }
  void pop(std::size_t count);
  void clear() { pop(size()); }

 private:
  Buffer bytes_;
  std::size_t begin_ = 0;
};

// A TCP connection between two ends of one simulation: bytes arrive in order or the connection is
// reset. Closing lets what was sent before arrive; a reset loses it.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Events& events, const NetworkFaults& faults, runtime::Endpoint client,
             runtime::Endpoint server);

  runtime::Transfer send(Side from, Bytes bytes);
  runtime::Transfer receive(Side at, MutableBytes into);
  void close(Side side);
  void reset();

  [[nodiscard]] bool readable(Side at) const;
  [[nodiscard]] bool writable(Side from) const;
  [[nodiscard]] const runtime::Endpoint& endpoint(Side side) const {
    return endpoints_[index(side)];
  }
  // Called when `side` may have become readable or writable.
  void on_change(Side side, std::move_only_function<void()> callback);

 private:
  // One direction.
  struct Pipe {
    ByteQueue under_way;
    ByteQueue arrived;
    std::size_t window = 0;
    bool sender_closed = false;
    bool end_arrived = false;
    bool delivery_planned = false;
  };

  static std::size_t index(Side side) { return static_cast<std::size_t>(side); }
  static Side other(Side side) { return side == Side::client ? Side::server : Side::client; }
  Pipe& from(Side side) { return pipes_[index(side)]; }
  [[nodiscard]] const Pipe& from(Side side) const { return pipes_[index(side)]; }
  static std::size_t room(const Pipe& pipe);
  void plan_delivery(Side sender);
  void deliver(Side sender);
  void notify(Side side);

  Events& events_;
  NetworkFaults faults_;
  std::array<runtime::Endpoint, 2> endpoints_;
  std::array<Pipe, 2> pipes_;
  std::array<std::move_only_function<void()>, 2> callbacks_;
  bool reset_ = false;
};

// The test's end of a connection: sends whatever it is given as the window opens, and reads all
// that arrives.
class SimClient {
 public:
  explicit SimClient(std::shared_ptr<Connection> connection);
  SimClient(const SimClient&) = delete;
  SimClient& operator=(const SimClient&) = delete;
  ~SimClient();

  void send(Bytes bytes);
  // All bytes that have arrived and were not taken yet.
  [[nodiscard]] Bytes received() const { return received_.view(); }
  void take(std::size_t count) { received_.pop(count); }
  // The other end has closed, or the connection was reset, and all that came before is in
  // received().
  [[nodiscard]] bool ended() const { return ended_; }
  [[nodiscard]] std::size_t unsent() const { return unsent_.size(); }

  void pause_reading() { reading_ = false; }
  void resume_reading();
  void close();
  void reset();
  [[nodiscard]] const runtime::Endpoint& local_endpoint() const {
    return connection_->endpoint(Side::client);
  }

 private:
  void pump();

  std::shared_ptr<Connection> connection_;
  ByteQueue unsent_;
  ByteQueue received_;
  bool reading_ = true;
  bool ended_ = false;
};

}  // namespace sluice::sim
