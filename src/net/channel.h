#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "runtime/loop.h"

namespace sluice::net {

// What lies between a socket and the bytes of a protocol: TLS, WebSocket frames, or both.
class Layer;

// A connection's byte stream: a socket, as it is or below layers. Used like runtime::Loop's calls
// of the same names, which it becomes when there is no layer; then it costs a pointer and a test.
//
// Shard: all on the loop given. A channel is attached once; close() before it is destroyed.
class Channel {
 public:
  Channel() = default;
  explicit Channel(runtime::Socket socket, std::unique_ptr<Layer> layer = nullptr);
  Channel(Channel&&) noexcept;
  Channel& operator=(Channel&&) noexcept;
  ~Channel();

  // `handler` gets readable and writable events of the inner byte stream; on_readable is called
  // again in each turn while something can be read and reading is asked for, even if it has left
  // the socket already.
  void attach(runtime::Loop& loop, runtime::SocketHandler& handler);
  void watch(runtime::Loop& loop, runtime::Interest interest);
  runtime::Transfer receive(runtime::Loop& loop, MutableBytes into);
  // What was taken may still lie in a layer's buffer, which is bounded; would_block when it is
  // full.
  runtime::Transfer send(runtime::Loop& loop, std::span<const Bytes> pieces);
  // Sends what the layers hold (close_notify, a close frame) as far as the socket takes it, and
  // closes.
  void close(runtime::Loop& loop);

  [[nodiscard]] runtime::Socket socket() const { return socket_; }
  [[nodiscard]] bool encrypted() const;
  // Common name of the client's verified certificate; empty without one.
  [[nodiscard]] std::string certificate_name() const;
  // Why the channel came to an end, when a layer knows: "tls: certificate has expired".
  [[nodiscard]] std::string_view failure() const;

 private:
  runtime::Socket socket_;
  std::unique_ptr<Layer> layer_;
};

}  // namespace sluice::net
