#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <optional>

#include "base/task.h"
#include "runtime/loop.h"

namespace sluice::net {

// Lets a bounded number of handshakes of a shard go a step further in each turn: a step may sign or
// check a signature, up to a millisecond each, and a thousand clients that come back at once must
// not hold up the traffic of the others. Who has to wait is served in the order of arrival.
class HandshakeQueue : public std::enable_shared_from_this<HandshakeQueue> {
 public:
  static constexpr std::size_t steps_per_turn = 4;

  class Waiter {
   public:
    virtual void on_handshake_turn() = 0;
    std::optional<std::list<Waiter*>::iterator> place;  // the queue's own note

   protected:
    ~Waiter() = default;
  };

  explicit HandshakeQueue(runtime::Loop& loop) : loop_(loop) {}

  // True: take a step now. False: on_handshake_turn() comes in a later turn, unless leave() is
  // called first.
  bool may_step(Waiter& waiter);
  void leave(Waiter& waiter);
  [[nodiscard]] static bool is_waiting(const Waiter& waiter) { return waiter.place.has_value(); }

 private:
  void serve();
  void serve_later();
  [[nodiscard]] bool has_steps();

  runtime::Loop& loop_;
  std::list<Waiter*> waiting_;
  runtime::TimePoint turn_;  // of which steps_ were taken
  std::size_t steps_ = 0;
  bool posted_ = false;
};

}  // namespace sluice::net
