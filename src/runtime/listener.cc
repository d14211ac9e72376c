#include "runtime/listener.h"

#include <cerrno>
#include <cstring>
#include <utility>

namespace sluice::runtime {

namespace {

constexpr Logger logger("runtime");
// Per turn, so that a flood of connections leaves time for those that exist.
constexpr int accepts_max = 64;
constexpr auto pause_duration = std::chrono::milliseconds(100);

}  // namespace

Listener::Listener(Loop& loop, PollSet& poll_set, ListeningSocket socket, AcceptHandler& handler)
    : loop_(loop), poll_set_(poll_set), socket_(std::move(socket)), handler_(handler) {
  poll_set_.add(socket_.fd(), *this);
}

Listener::~Listener() { close(); }

void Listener::close() {
  if (!socket_.is_open()) return;
  loop_.cancel(pause_);
  poll_set_.remove(socket_.fd());
  socket_.close();
}

void Listener::on_readable() {
  for (int i = 0; i < accepts_max && socket_.is_open(); ++i) {
    const int fd = socket_.accept();
    if (fd >= 0) {
      handler_.on_accept({fd});
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return poll_set_.drained(socket_.fd());
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      return pause(errno);
    }  // else this connection failed before it was taken; the next may be well
  }
}

void Listener::pause(int error) {
  if (log_limit_.allow(loop_.wall_ms())) {
    logger.warn("cannot accept connections for now",
                {{"endpoint", to_string(socket_.endpoint())}, {"error", std::strerror(error)}});
  }
  poll_set_.set_interest(socket_.fd(), {.read = false, .write = false});
  pause_ = loop_.run_after(pause_duration, [this] { poll_set_.set_interest(socket_.fd(), {}); });
}

}  // namespace sluice::runtime
