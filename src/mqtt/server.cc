#include "mqtt/server.h"

#include <chrono>
#include <utility>

#include "mqtt/clients.h"
#include "mqtt/connection.h"

namespace sluice::mqtt {

namespace {

// Connections of a shard beyond the maximum that may say CONNECT, to be told so.
constexpr std::size_t without_place_max = 64;
constexpr std::uint32_t save_interval_s = 5;  // of stored sessions whose progress nobody waits for

}  // namespace

Server::Server(runtime::Loop& loop, hub::Hub& hub, delayed::Delayed& delayed,
               access::Access& access, Metrics& metrics, Options options,
               sessions::Sessions* sessions)
    : loop_(loop),
      context_(std::make_shared<ConnectionContext>(loop, hub, delayed, access, metrics, options)),
      random_(options.seed != 0 ? Random(options.seed) : Random::from_os()),
      listeners_(loop, metrics,
                 {.protocol = "mqtt", .origins = {std::move(options.websocket_origins)}}) {
  context_->sessions = sessions;
  context_->wills.set_sessions(sessions);
  loop_.add_turn_hook(*this, runtime::TurnPhase::send);
}

Server::~Server() {
  stop();
  loop_.remove_turn_hook(*this);
}

Result<runtime::Endpoint> Server::listen(const runtime::Endpoint& endpoint,
                                         std::shared_ptr<Listener> listener) {
  const ListenerOptions& options = listener->options();
  const net::Carriage carriage{.transport = options.transport,
                               .proxy_protocol = options.proxy_protocol,
                               .handshake_timeout = options.limits.connect_timeout};
  doors_.emplace_back(*this, context_->add_listener(std::move(listener)));
  return listeners_.listen(endpoint, carriage, doors_.back());
}

Result<runtime::Endpoint> Server::listen(const runtime::Endpoint& endpoint,
                                         net::Transport transport) {
  ListenerOptions options{.transport = transport, .limits = context_->options.limits};
  return listen(endpoint, std::make_shared<Listener>(std::move(options)));
}

void Server::stop() {
  listeners_.close();
  context_->connections.for_each([](std::uint32_t, auto& connection) { connection->stop(); });
  on_turn_end();
  context_->wills.publish_all();
  context_->hub.on_turn_end();  // the log may be stopped before this turn ends
  loop_.cancel(std::exchange(tick_, runtime::TimerId::none));
}

std::size_t Server::connections() const { return context_->connections.size(); }

Clients Server::clients() const { return Clients(context_); }

void Server::accept(std::uint8_t listener, net::Channel channel) {
  const bool has_place = context_->listeners[listener]->listener().take_place();
  if (!has_place && context_->without_place >= without_place_max)
    return turn_away(std::move(channel));
  start_ticking();
  const auto handle = context_->connections.add(std::make_unique<Connection>(
      *context_, listener, std::move(channel), has_place, random_.next() | 1));
  (*context_->connections.find(handle))->start(handle);
}

// Without a word, as only CONNECT says in which version it would be understood.
void Server::turn_away(net::Channel channel) {
  context_->counters.count_refusal(Reason::quota_exceeded);
  channel.close(loop_);
}

void Server::on_turn_end() {
  if (!context_->kept_back.empty()) send_kept_back();
  // Connections may be added to the list while it is gone through.
  for (std::size_t i = 0; i < context_->dirty.size(); ++i) {
    const hub::Handle handle = context_->dirty[i];
    auto* connection = context_->connections.find(handle);
    if (!connection || (*connection)->on_turn_end()) continue;
    context_->connections.erase(handle);
  }
  context_->dirty.clear();
  context_->delivery.now = 0;
}

void Server::send_kept_back() {
  context_->kept_back.release(loop_.now(), [this](hub::Handle handle) {
    if (auto* connection = context_->connections.find(handle)) (*connection)->send_kept_back();
  });
}

void Server::save_behind() {
  for (const hub::Handle handle : std::exchange(context_->unsaved, {}))
    if (auto* connection = context_->connections.find(handle)) (*connection)->save_behind();
}

void Server::flush(Task done) {
  struct Flush {
    ~Flush() { done(); }
    Task done;
  };
  context_->hub.when_published(
      [context = context_, flush = std::make_shared<Flush>(std::move(done))] {
        for (const hub::Handle handle : std::exchange(context->unsaved, {}))
          if (auto* connection = context->connections.find(handle))
            (*connection)->save_now([flush](const Result<void>&) {});
        context->hub.save_groups([flush](const Result<void>&) {});
      });
}

void Server::adopt_will(const std::string& client_id, sessions::Uid uid, sessions::Will will,
                        WallMs due) {
  start_ticking();
  const auto wait_s =
      static_cast<std::uint32_t>(std::max<WallMs>(0, due - loop_.wall_ms() + 999) / 1000);
  context_->wills.adopt(client_id, std::make_unique<StoredWill>(std::move(will), uid, wait_s));
}

void Server::start_ticking() {
  if (tick_ != runtime::TimerId::none) return;
  context_->wheel.start(context_->now_s());
  context_->wills.start(context_->now_s());
  tick_ = loop_.run_after(std::chrono::seconds(1), [this] { on_tick(); });
}

void Server::on_tick() {
  tick_ = runtime::TimerId::none;
  context_->wheel.advance(context_->now_s(), [this](hub::Handle handle, std::uint32_t second) {
    if (auto* connection = context_->connections.find(handle)) (*connection)->on_second(second);
  });
  context_->wills.on_second(context_->now_s());
  if (++ticks_ % save_interval_s == 0) save_behind();
  if (connections() > 0 || context_->wills.waiting())
    tick_ = loop_.run_after(std::chrono::seconds(1), [this] { on_tick(); });
}

}  // namespace sluice::mqtt
