#include "kafka/server.h"

#include <charconv>

#include "base/random.h"

namespace sluice::kafka {

namespace {

constexpr std::size_t read_buffer_size = 256 * 1024;
constexpr auto handshake_timeout = std::chrono::seconds(10);  // of TLS
constexpr int idle_checks_per_limit =
    8;  // a silent connection is closed at most an eighth of the limit late

// Unlike runtime::parse_endpoint, takes host names: clients resolve them.
Result<runtime::Endpoint> parse_advertised(std::string_view text) {
  if (text.empty()) return runtime::Endpoint{};
  const auto colon = text.rfind(':');
  runtime::Endpoint endpoint;
  if (colon != std::string_view::npos && colon > 0) {
    const auto port = text.substr(colon + 1);
    const auto [end, error] = std::from_chars(port.begin(), port.end(), endpoint.port);
    endpoint.address = text.substr(0, colon);
    if (error == std::errc() && end == port.end() && endpoint.port != 0) return endpoint;
  }
  return fail(Errc::invalid, "advertised address '{}': want host:port", text);
}

// Far from the largest id, so that counting on never wraps.
std::int64_t random_producer_id() {
  return static_cast<std::int64_t>(Random::from_os().next() >> 2);
}

}  // namespace

Server::Server(runtime::Loop& loop, stream::Stream& stream, access::Access& access,
               Coordinator& coordinator, Metrics& metrics, Options options)
    : loop_(loop),
      options_(std::move(options)),
      services_{loop, stream, access, coordinator, options_, random_producer_id(), 0},
      traffic_(metrics, loop),
      read_buffer_(read_buffer_size),
      listeners_(loop, metrics, {.protocol = "kafka"}) {
  loop_.add_turn_hook(*this, runtime::TurnPhase::send);
  close_idle_later();
}

Server::~Server() {
  stop();
  loop_.remove_turn_hook(*this);
}

Result<runtime::Endpoint> Server::listen(const runtime::Endpoint& endpoint,
                                         net::Transport transport) {
  if (net::has_tls(transport)) {
    SLUICE_TRY_ASSIGN(tls_advertised_, parse_advertised(options_.tls_advertised));
  } else {
    SLUICE_TRY_ASSIGN(advertised_, parse_advertised(options_.advertised));
  }
  return listeners_.listen(endpoint,
                           {.transport = transport, .handshake_timeout = handshake_timeout}, *this);
}

void Server::stop() {
  listeners_.close();
  if (idle_timer_ != runtime::TimerId::none)
    loop_.cancel(std::exchange(idle_timer_, runtime::TimerId::none));
  while (!connections_.empty()) {
    const auto connection = connections_.begin()->second;
    connection->close();
  }
  unflushed_.clear();
}

void Server::on_accept(net::Channel channel) {
  const auto connection = std::make_shared<Connection>(*this, std::move(channel));
  connections_.emplace(connection.get(), connection);
  traffic_.connected();
  connection->start();
}

void Server::on_closed(Connection& connection) {
  connections_.erase(&connection);
  traffic_.disconnected();
}

void Server::flush_later(std::shared_ptr<Connection> connection) {
  if (unflushed_.empty()) loop_.need_turn_end(runtime::TurnPhase::send);
  unflushed_.push_back(std::move(connection));
}

void Server::on_turn_end() {
  for (const auto& connection : std::exchange(unflushed_, {})) connection->flush();
}

runtime::Endpoint Server::advertised(const net::Channel& channel) {
  const runtime::Endpoint& told = channel.encrypted() ? tls_advertised_ : advertised_;
  return told.address.empty() ? loop_.local_endpoint(channel.socket()) : told;
}

void Server::close_idle_later() {
  idle_timer_ = loop_.run_after(options_.connections_max_idle / idle_checks_per_limit,
                                [this] { close_idle(); });
}

void Server::close_idle() {
  const auto oldest = loop_.now() - options_.connections_max_idle;
  std::vector<std::shared_ptr<Connection>> idle;
  for (const auto& [key, connection] : connections_) {
    if (connection->last_active() < oldest) idle.push_back(connection);
  }
  for (const auto& connection : idle)
    connection->refuse(Refusal::idle, "nothing sent for too long");
  close_idle_later();
}

}  // namespace sluice::kafka
