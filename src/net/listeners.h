#pragma once

#include <cstdint>
#include <list>

#include "base/result.h"
#include "net/channel.h"
#include "runtime/loop.h"

namespace sluice::net {

// How the connections of a listener carry their protocol.
enum class Transport : std::uint8_t { tcp, tls, websocket, websocket_tls };

// What a front end implements to take connections.
class ChannelHandler {
 public:
  // Takes ownership: the handler attaches the channel, or closes it.
  virtual void on_accept(Channel channel) = 0;

 protected:
  ~ChannelHandler() = default;
};

// The listening sockets of a front end on one shard.
class Listeners {
 public:
  // `handler` outlives it, or close().
  Listeners(runtime::Loop& loop, ChannelHandler& handler);
  ~Listeners();
  Listeners(const Listeners&) = delete;
  Listeners& operator=(const Listeners&) = delete;

  // Returns the address really bound.
  Result<runtime::Endpoint> listen(const runtime::Endpoint& endpoint, Transport transport);
  // Nothing is accepted any more.
  void close();

 private:
  struct Door final : runtime::AcceptHandler {
    Door(Listeners& of, Transport by) : listeners(of), transport(by) {}
    void on_accept(runtime::Socket socket) override { listeners.accept(socket, transport); }
    Listeners& listeners;
    Transport transport;
  };

  void accept(runtime::Socket socket, Transport transport);

  runtime::Loop& loop_;
  ChannelHandler& handler_;
  std::list<Door> doors_;
};

}  // namespace sluice::net
