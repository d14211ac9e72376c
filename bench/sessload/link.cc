#include "sessload/link.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace sessload {

namespace {

[[noreturn]] void fail(const char* call) {
  throw Fault(std::string(call) + ": " + std::generic_category().message(errno));
}

sockaddr_in address_of(std::uint32_t host, std::uint32_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(host);
  return address;
}

}  // namespace

void Link::open(int epoll, std::uint32_t key, std::uint32_t port, std::uint32_t source) {
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) fail("socket");
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // Left to connect(), which knows that a port may be in use at another address.
  setsockopt(fd_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  const sockaddr_in here = address_of(source, 0);
  if (bind(fd_, reinterpret_cast<const sockaddr*>(&here), sizeof here) != 0) fail("bind");
  const sockaddr_in server = address_of(loopback, port);
  if (connect(fd_, reinterpret_cast<const sockaddr*>(&server), sizeof server) != 0 &&
      errno != EINPROGRESS)
    fail("connect");
  epoll_ = epoll;
  event_.events = readable_or_writable;
  event_.data.u32 = key;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd_, &event_) != 0) fail("epoll_ctl");
}

void Link::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  in_ = {};
  out_ = {};
}

void Link::flush() {
  std::size_t sent = 0;
  while (sent < out_.size()) {
    const ssize_t size = send(fd_, out_.data() + sent, out_.size() - sent, MSG_NOSIGNAL);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) break;
    if (size < 0) fail("send");
    sent += static_cast<std::size_t>(size);
  }
  out_.erase(0, sent);
  watch(out_.empty() ? readable : readable_or_writable);
}

bool Link::receive(std::vector<char>& buffer, std::string_view& bytes) {
  const std::size_t before = in_.size();
  std::ranges::copy(in_, buffer.begin());
  const ssize_t size = recv(fd_, buffer.data() + before, buffer.size() - before, 0);
  if (size == 0 || (size < 0 && errno == ECONNRESET)) return false;
  if (size < 0 && errno != EAGAIN && errno != EINTR) fail("recv");
  bytes = {buffer.data(), before + static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
  return true;
}

void Link::watch(std::uint32_t events) {
  if (event_.events == events) return;
  event_.events = events;
  if (epoll_ctl(epoll_, EPOLL_CTL_MOD, fd_, &event_) != 0) fail("epoll_ctl");
}

}  // namespace sessload
