#pragma once

#include <list>
#include <memory>
#include <string_view>

#include "base/metrics.h"
#include "base/result.h"
#include "net/channel.h"
#include "net/transport.h"
#include "net/upgrade.h"
#include "runtime/loop.h"

namespace sluice::net {

class TlsContext;
struct LinkContext;

// What a front end implements to take connections.
class ChannelHandler {
 public:
  // Takes ownership: the handler attaches the channel, or closes it.
  virtual void on_accept(Channel channel) = 0;

 protected:
  ~ChannelHandler() = default;
};

// The listening sockets of a front end on one shard, and what the channels of their connections
// share.
//
// Shard: the loop's. A connection whose layers fail is counted, and logged with the reason, here;
// its handler just sees it closed.
class Listeners {
 public:
  struct Options {
    std::string_view protocol;  // of the front end, for log and metrics
    AllowedOrigins origins{};   // of web pages that come by WebSocket
  };

  Listeners(runtime::Loop& loop, Metrics& metrics, const Options& options);
  ~Listeners();
  Listeners(const Listeners&) = delete;
  Listeners& operator=(const Listeners&) = delete;

  // What new connections use, from now on; those there are keep theirs. To be set before a
  // transport with TLS is listened on.
  void set_tls(std::shared_ptr<const TlsContext> tls);
  // Returns the address really bound. `handler` outlives it, or close().
  Result<runtime::Endpoint> listen(const runtime::Endpoint& endpoint, const Carriage& carriage,
                                   ChannelHandler& handler);
  // Nothing is accepted any more.
  void close();

 private:
  struct Door final : runtime::AcceptHandler {
    Door(Listeners& of, const Carriage& by, ChannelHandler& to)
        : listeners(of), carriage(by), handler(to) {}
    void on_accept(runtime::Socket socket) override {
      handler.on_accept(listeners.channel_of(socket, carriage));
    }
    Listeners& listeners;
    Carriage carriage;
    ChannelHandler& handler;
  };

  Channel channel_of(runtime::Socket socket, const Carriage& carriage);

  std::shared_ptr<LinkContext> context_;
  std::list<Door> doors_;
};

}  // namespace sluice::net
