#include "net/handshake_queue.h"

#include <utility>

namespace sluice::net {

bool HandshakeQueue::may_step(Waiter& waiter) {
  if (is_waiting(waiter)) return false;
  if (waiting_.empty() && has_steps()) {
    ++steps_;
    return true;
  }
  waiter.place = waiting_.insert(waiting_.end(), &waiter);
  serve_later();
  return false;
}

void HandshakeQueue::leave(Waiter& waiter) {
  if (!is_waiting(waiter)) return;
  waiting_.erase(*waiter.place);
  waiter.place.reset();
}

bool HandshakeQueue::has_steps() {
  if (turn_ != loop_.now()) {
    turn_ = loop_.now();
    steps_ = 0;
  }
  return steps_ < steps_per_turn;
}

void HandshakeQueue::serve_later() {
  if (waiting_.empty() || std::exchange(posted_, true)) return;
  loop_.post([weak = weak_from_this()] {
    if (const auto queue = weak.lock()) queue->serve();
  });
}

void HandshakeQueue::serve() {
  posted_ = false;
  while (!waiting_.empty() && has_steps()) {
    ++steps_;
    Waiter& next = *waiting_.front();
    leave(next);
    next.on_handshake_turn();
  }
  serve_later();
}

}  // namespace sluice::net
