#pragma once

#include <memory>
#include <span>

#include "base/bytes.h"
#include "base/result.h"
#include "runtime/file_descriptor.h"
#include "runtime/loop.h"
#include "runtime/unix_socket.h"

// TCP and Unix sockets by system calls. All sockets are non-blocking and close-on-exec.
namespace sluice::runtime {

// A socket that listens. Several loops of this process may listen on one endpoint (SO_REUSEPORT; a
// Unix socket is accepted from by all of them), but one that another process listens on is refused:
// the kernel would let two hubs of one user share a port, and each would get some of the
// connections. "::" takes IPv4 as well.
class ListeningSocket {
 public:
  static Result<ListeningSocket> open(const Endpoint& endpoint);
  ListeningSocket(ListeningSocket&& other) noexcept = default;
  ListeningSocket& operator=(ListeningSocket&&) = delete;
  ~ListeningSocket() { close(); }

  void close();
  [[nodiscard]] bool is_open() const { return fd_.valid(); }
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] const Endpoint& endpoint() const { return endpoint_; }
  // -1 and errno as accept(2). Nagle's algorithm is off: whoever sends has gathered already.
  [[nodiscard]] int accept() const;

 private:
  static Result<ListeningSocket> open_unix(const Endpoint& endpoint);
  explicit ListeningSocket(FileDescriptor fd, std::shared_ptr<UnixSocket> unix_socket = nullptr);

  std::shared_ptr<UnixSocket> unix_socket_;  // null: TCP
  FileDescriptor fd_;
  Endpoint endpoint_;
};

Transfer receive_some(int fd, MutableBytes into);
// One system call, of the first 256 pieces at most.
Transfer send_some(int fd, std::span<const Bytes> pieces);

Endpoint local_endpoint_of(int fd);
Endpoint peer_endpoint_of(int fd);

}  // namespace sluice::runtime
