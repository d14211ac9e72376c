#pragma once

#include <memory>
#include <span>
#include <string>

#include "base/bytes.h"
#include "net/transport.h"
#include "runtime/loop.h"

namespace sluice::net {

// The layers between a socket and a protocol: TLS, WebSocket, or both.
class Link;

// A connection's byte stream: a socket, as it is or below layers. Used like runtime::Loop's calls
// of the same names, which it becomes when there is no layer; then it costs a pointer and a test.
//
// Shard: all on the loop given, always the same. close() it before it is destroyed.
class Channel {
 public:
  Channel();
  explicit Channel(runtime::Socket socket);
  Channel(runtime::Socket socket, std::unique_ptr<Link> link);
  Channel(Channel&&) noexcept;
  Channel& operator=(Channel&&) noexcept;
  ~Channel();

  // `handler` gets readable and writable events of the inner byte stream, at first for reading
  // only: on_readable is called again in each turn while something can be read and reading is asked
  // for, even if it has left the socket already.
  void attach(runtime::Loop& loop, runtime::SocketHandler& handler);
  void watch(runtime::Loop& loop, runtime::Interest interest);
  runtime::Transfer receive(runtime::Loop& loop, MutableBytes into) {
    return link_ ? receive_layered(into) : loop.receive(socket_, into);
  }
  // What was taken may still lie in a layer's buffer, which is bounded. What was not taken must be
  // sent before anything else: a layer may have announced it already.
  runtime::Transfer send(runtime::Loop& loop, std::span<const Bytes> pieces) {
    return link_ ? send_layered(pieces) : loop.send(socket_, pieces);
  }
  // Sends what the layers hold, and that this is the end (close_notify, a close frame), as far as
  // the socket takes it, and closes.
  void close(runtime::Loop& loop);

  [[nodiscard]] runtime::Socket socket() const { return socket_; }
  [[nodiscard]] bool encrypted() const;
  [[nodiscard]] Transport transport() const;
  // Common name of the client's verified certificate, once something was received; empty without
  // one.
  [[nodiscard]] std::string certificate_name() const;
  // The client's address: that of the socket's other end, or what a proxy there has told.
  [[nodiscard]] runtime::Endpoint peer(const runtime::Loop& loop) const;

 private:
  runtime::Transfer receive_layered(MutableBytes into);
  runtime::Transfer send_layered(std::span<const Bytes> pieces);

  std::unique_ptr<Link> link_;
  runtime::Socket socket_;
};

}  // namespace sluice::net
