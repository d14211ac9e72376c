#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/bytes.h"
#include "runtime/loop.h"

namespace sluice::net {

// Why a layer has ended its connection.
struct Failure {
  enum class Kind : std::uint8_t {
    none,
    closed,              // by the peer, in the middle of a handshake
    timeout,             // no end of the handshake in time
    client_certificate,  // missing or not valid
    alert,               // the client does not want to go on: it does not trust us, for example
    tls,                 // not what the protocol says, or no version or cipher in common
    proxy,               // no header of the PROXY protocol, or a bad one
    upgrade,             // an HTTP request that does not open a WebSocket for MQTT
    frame,               // a WebSocket frame that must not be
  } kind = Kind::none;
  std::string text;
};

// A stream of bytes in both directions, on top of another one. Sans-IO: it acts when it is asked.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // As Loop's. `would_block`: more is needed from below.
  virtual runtime::Transfer receive(MutableBytes into) = 0;
  virtual runtime::Transfer send(std::span<const Bytes> pieces) = 0;
  // receive() may have something, or the end, though nothing comes from below.
  [[nodiscard]] virtual bool has_more() const = 0;
  // Its handshake is done; send() takes nothing before.
  [[nodiscard]] virtual bool open() const = 0;
  // Holds bytes that are still to be sent; flush() tries to.
  [[nodiscard]] virtual bool has_unsent() const = 0;
  virtual void flush() = 0;
  // Tells the peer, as far as it goes without waiting, that nothing more will be sent.
  virtual void finish() = 0;
  [[nodiscard]] virtual const Failure& failure() const = 0;
};

}  // namespace sluice::net
