#include "runtime/sockets.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "base/assert.h"

namespace sluice::runtime {

namespace {

constexpr int backlog = 4096;
constexpr std::size_t pieces_max = 256;

struct Address {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

Result<Address> to_address(const Endpoint& endpoint) {
  Address address;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (::inet_pton(AF_INET, endpoint.address.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(endpoint.port);
    address.size = sizeof *v4;
    return address;
  }
  if (::inet_pton(AF_INET6, endpoint.address.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(endpoint.port);
    address.size = sizeof *v6;
    return address;
  }
  return fail(Errc::invalid, "{}: not a numeric address", endpoint.address);
}

Endpoint to_endpoint(const Address& address) {
  if (address.storage.ss_family == AF_UNIX) {
    const auto* local = reinterpret_cast<const sockaddr_un*>(&address.storage);
    return {std::string("unix:") + local->sun_path, 0};
  }
  if (address.storage.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
    return {address_text(std::as_bytes(std::span(&v6->sin6_addr, 1))), ntohs(v6->sin6_port)};
  }
  const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
  return {address_text(std::as_bytes(std::span(&v4->sin_addr, 1))), ntohs(v4->sin_port)};
}

void set(int fd, int level, int option, int value) {
  ::setsockopt(fd, level, option, &value, sizeof value);
}

auto listen_failure(const Endpoint& endpoint) {
  return fail(Errc::io, "cannot listen on {}: {}", to_string(endpoint), std::strerror(errno));
}

// What this process listens on, for all its loops.
class OwnEndpoints {
 public:
  void add(const Endpoint& endpoint) {
    const std::lock_guard lock(mutex_);
    endpoints_.insert(to_string(endpoint));
  }
  void remove(const Endpoint& endpoint) {
    const std::lock_guard lock(mutex_);
    endpoints_.erase(endpoints_.find(to_string(endpoint)));
  }
  bool contains(const Endpoint& endpoint) {
    const std::lock_guard lock(mutex_);
    return endpoints_.contains(to_string(endpoint));
  }

 private:
  std::mutex mutex_;
  std::multiset<std::string> endpoints_;
};

OwnEndpoints& own_endpoints() {
  static OwnEndpoints endpoints;
  return endpoints;
}

enum class Sharing : std::uint8_t { exclusive, within_process };

Result<FileDescriptor> bind_socket(const Endpoint& endpoint, Address address, Sharing sharing) {
  FileDescriptor fd(
      ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return listen_failure(endpoint);
  set(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (sharing == Sharing::within_process) set(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
  if (address.storage.ss_family == AF_INET6) set(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0);
  if (::bind(fd.get(), address.get(), address.size) != 0) return listen_failure(endpoint);
  return fd;
}

Transfer failed_transfer() {
  const bool blocked = errno == EAGAIN || errno == EWOULDBLOCK;
  return {blocked ? Transfer::State::would_block : Transfer::State::closed, 0};
}

}  // namespace

Result<ListeningSocket> ListeningSocket::open(const Endpoint& endpoint) {
  if (is_unix(endpoint)) return open_unix(endpoint);
  SLUICE_TRY_ASSIGN(auto address, to_address(endpoint));
  if (endpoint.port != 0 && !own_endpoints().contains(endpoint)) {
    SLUICE_TRY(bind_socket(endpoint, address, Sharing::exclusive));
  }
  SLUICE_TRY_ASSIGN(auto fd, bind_socket(endpoint, address, Sharing::within_process));
  if (::listen(fd.get(), backlog) != 0) return listen_failure(endpoint);
  return ListeningSocket(std::move(fd));
}

Result<ListeningSocket> ListeningSocket::open_unix(const Endpoint& endpoint) {
  SLUICE_TRY_ASSIGN(auto shared,
                    UnixSocket::open(endpoint.address.substr(std::strlen("unix:")), backlog));
  SLUICE_TRY_ASSIGN(auto fd, shared->duplicate());
  return ListeningSocket(std::move(fd), std::move(shared));
}

ListeningSocket::ListeningSocket(FileDescriptor fd, std::shared_ptr<UnixSocket> unix_socket)
    : unix_socket_(std::move(unix_socket)),
      fd_(std::move(fd)),
      endpoint_(local_endpoint_of(fd_.get())) {
  own_endpoints().add(endpoint_);
}

void ListeningSocket::close() {
  if (!fd_.valid()) return;
  own_endpoints().remove(endpoint_);
  fd_ = FileDescriptor();
  unix_socket_.reset();
}

int ListeningSocket::accept() const {
  const int fd = ::accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0 && !unix_socket_) set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  return fd;
}

Transfer receive_some(int fd, MutableBytes into) {
  SLUICE_ASSERT(!into.empty());
  for (;;) {
    const auto count = ::recv(fd, into.data(), into.size(), 0);
    if (count > 0) return {Transfer::State::ok, static_cast<std::size_t>(count)};
    if (count == 0) return {Transfer::State::closed, 0};
    if (errno != EINTR) return failed_transfer();
  }
}

Transfer send_some(int fd, std::span<const Bytes> pieces) {
  std::array<iovec, pieces_max> vectors;
  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = std::min(pieces.size(), pieces_max);
  for (std::size_t i = 0; i < message.msg_iovlen; ++i) {
    vectors[i] = {const_cast<std::byte*>(pieces[i].data()), pieces[i].size()};
  }
  for (;;) {
    const auto count = ::sendmsg(fd, &message, MSG_NOSIGNAL);
    if (count >= 0) return {Transfer::State::ok, static_cast<std::size_t>(count)};
    if (errno != EINTR) return failed_transfer();
  }
}

Endpoint local_endpoint_of(int fd) {
  Address address;
  if (::getsockname(fd, address.get(), &address.size) != 0) return {};
  return to_endpoint(address);
}

Endpoint peer_endpoint_of(int fd) {
  Address address;
  if (::getpeername(fd, address.get(), &address.size) != 0) return {};
  if (address.storage.ss_family == AF_UNIX) return {unix_peer_of(fd), 0};
  return to_endpoint(address);
}

}  // namespace sluice::runtime
