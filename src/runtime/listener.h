#pragma once

#include "base/logger.h"
#include "runtime/loop.h"
#include "runtime/poll_set.h"
#include "runtime/sockets.h"

namespace sluice::runtime {

// Accepts connections of one listening socket. When the process is out of descriptors it pauses for
// a while instead of being told of the same connection again and again; they wait in the kernel's
// backlog.
class Listener final : public SocketHandler {
 public:
  Listener(Loop& loop, PollSet& poll_set, ListeningSocket socket, AcceptHandler& handler);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  [[nodiscard]] const AcceptHandler& handler() const { return handler_; }
  // From now on nothing is accepted; the object may still be in a call.
  void close();

  void on_readable() override;
  void on_writable() override {}

 private:
  void pause(int error);

  Loop& loop_;
  PollSet& poll_set_;
  ListeningSocket socket_;
  AcceptHandler& handler_;
  TimerId pause_ = TimerId::none;
  LogLimit log_limit_{1};
};

}  // namespace sluice::runtime
