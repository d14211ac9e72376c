#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "kafka/connection.h"
#include "kafka/options.h"
#include "net/listeners.h"

namespace sluice::kafka {

// The Kafka front end of one shard: takes connections and speaks the Kafka protocol on the hub's
// streams.
//
// Shard: all on the loop given. Life: made after the stream (whose hooks run first in a turn) and
// destroyed before it; destroying closes what is open.
class Server final : public net::ChannelHandler, public runtime::TurnHook, public ConnectionHost {
 public:
  Server(runtime::Loop& loop, stream::Stream& stream, access::Access& access,
         Coordinator& coordinator, Metrics& metrics, Options options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // For connections from now on; needed before a transport with TLS is listened on.
  void set_tls(std::shared_ptr<const net::TlsContext> tls) { listeners_.set_tls(std::move(tls)); }

  // The address really bound. Errors: those of the loop; invalid when the address advertised for
  // that transport is not "host:port".
  Result<runtime::Endpoint> listen(const runtime::Endpoint& endpoint,
                                   net::Transport transport = net::Transport::tcp);
  // Takes no more connections and closes those that are open. Appends under way still reach the
  // log.
  void stop();
  [[nodiscard]] std::size_t connections() const { return connections_.size(); }

  void on_accept(net::Channel channel) override;
  void on_turn_end() override;

  Services& services() override { return services_; }
  Traffic& traffic() override { return traffic_; }
  MutableBytes read_buffer() override { return read_buffer_; }
  void flush_later(std::shared_ptr<Connection> connection) override;
  runtime::Endpoint advertised(const net::Channel& channel) override;
  void on_closed(Connection& connection) override;

 private:
  void close_idle_later();
  void close_idle();

  runtime::Loop& loop_;
  Options options_;
  Services services_;
  Traffic traffic_;
  Buffer read_buffer_;
  // No address: that of the accepted socket.
  runtime::Endpoint advertised_;
  runtime::Endpoint tls_advertised_;
  std::unordered_map<Connection*, std::shared_ptr<Connection>> connections_;
  std::vector<std::shared_ptr<Connection>> unflushed_;
  runtime::TimerId idle_timer_ = runtime::TimerId::none;
  net::Listeners listeners_;
};

}  // namespace sluice::kafka
