#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <utility>

#include "access/access.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/result.h"
#include "delayed/delayed.h"
#include "hub/hub.h"
#include "mqtt/listener.h"
#include "mqtt/options.h"
#include "net/listeners.h"
#include "runtime/loop.h"
#include "sessions/record.h"

namespace sluice::sessions {
class Sessions;
}

namespace sluice::mqtt {

struct ConnectionContext;
class Clients;

// The MQTT front end of one shard: accepts connections, keeps them, and ends them when they are
// silent for too long.
//
// Shard:  all calls on the loop's thread. Create it after the hub, whose turn hook is to run first:
//         what was received in a turn is handed to the log before sockets are flushed. Destroy it
//         before the hub, the sessions and what is `delayed`.
class Server final : public runtime::TurnHook {
 public:
  // `sessions` outlives it; none: no session outlives its connection.
  Server(runtime::Loop& loop, hub::Hub& hub, delayed::Delayed& delayed, access::Access& access,
         Metrics& metrics, Options options, sessions::Sessions* sessions = nullptr);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // For connections from now on; needed before a transport with TLS is listened on.
  void set_tls(std::shared_ptr<const net::TlsContext> tls) { listeners_.set_tls(std::move(tls)); }

  // Returns the address really bound. At most 256 times.
  Result<runtime::Endpoint> listen(const runtime::Endpoint& endpoint,
                                   std::shared_ptr<Listener> listener);
  // On this shard alone, with the limits of the options.
  Result<runtime::Endpoint> listen(const runtime::Endpoint& endpoint,
                                   net::Transport transport = net::Transport::tcp);
  // Takes no more connections and closes those there are; clients of MQTT 5 are told why. Their
  // wills are published, and those of clients that are gone already, whatever their delay.
  void stop();
  [[nodiscard]] std::size_t connections() const;
  // Runs `done` when all that stored sessions have come to so far is durable, with the answers to
  // everything that was published so far.
  void flush(Task done);
  // Publishes the will of a stored session at `due`, unless its client comes back before.
  void adopt_will(const std::string& client_id, sessions::Uid uid, sessions::Will will, WallMs due);
  // For administrators.
  [[nodiscard]] Clients clients() const;

  void on_turn_end() override;

 private:
  struct Door final : net::ChannelHandler {
    Door(Server& of, std::uint8_t index) : server(of), listener(index) {}
    void on_accept(net::Channel channel) override { server.accept(listener, std::move(channel)); }
    Server& server;
    std::uint8_t listener;
  };

  void accept(std::uint8_t listener, net::Channel channel);
  void turn_away(net::Channel channel);
  void on_tick();
  void start_ticking();
  void send_kept_back();
  void save_behind();

  runtime::Loop& loop_;
  std::shared_ptr<ConnectionContext> context_;
  Random random_;
  runtime::TimerId tick_ =
      runtime::TimerId::none;  // runs each second while there are connections, or wills that wait
  std::uint64_t ticks_ = 0;
  std::list<Door> doors_;
  net::Listeners listeners_;
};

}  // namespace sluice::mqtt
