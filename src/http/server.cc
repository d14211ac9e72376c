#include "http/server.h"

#include <vector>

#include "base/logger.h"
#include "http/connection.h"

namespace sluice::http {
namespace {

constexpr Logger logger("http");

}  // namespace

Server::Server(runtime::Loop& loop, Handler& handler, Metrics& metrics, Options options)
    : loop_(loop),
      handler_(handler),
      options_(options),
      requests_(metrics.counter("sluice_http_requests_total", "HTTP requests taken")),
      refused_(
          metrics.counter("sluice_http_refused_total",
                          "HTTP requests and connections refused as malformed or beyond a limit")),
      self_(std::make_shared<Server*>(this)) {}

Server::~Server() { stop(); }

Result<runtime::Endpoint> Server::listen(const runtime::Endpoint& endpoint) {
  auto bound = loop_.listen(endpoint, *this);
  if (!bound) return bound;
  listening_ = true;
  idle_timer_ = loop_.run_after(options_.idle_timeout, [this] { close_idle(); });
  return bound;
}

void Server::stop() {
  if (!listening_) return;
  listening_ = false;
  loop_.unlisten(*this);
  loop_.cancel(idle_timer_);
  connections_.clear();
}

void Server::on_accept(runtime::Socket socket) {
  if (connections_.size() >= options_.connections_max) {
    refused_.add();
    logger.debug("connection refused: too many", {{"connections_max", options_.connections_max}});
    return loop_.close(socket);
  }
  const std::uint64_t id = next_id_++;
  connections_.emplace(id, std::make_unique<Connection>(*this, id, socket));
}

Connection* Server::find(std::uint64_t id) {
  const auto found = connections_.find(id);
  return found == connections_.end() ? nullptr : found->second.get();
}

void Server::close(std::uint64_t id) { connections_.erase(id); }

void Server::close_idle() {
  const runtime::TimePoint limit = loop_.now() - options_.idle_timeout;
  std::erase_if(connections_,
                [limit](const auto& entry) { return entry.second->idle_since(limit); });
  idle_timer_ = loop_.run_after(options_.idle_timeout, [this] { close_idle(); });
}

Respond Server::responder(std::uint64_t id) {
  return [self = std::weak_ptr(self_), id](const Response& response) {
    if (const auto server = self.lock())
      if (Connection* connection = (*server)->find(id)) connection->respond(response);
  };
}

bool Stream::write(std::string_view bytes) {
  const auto server = server_.lock();
  Connection* connection = server ? (*server)->find(connection_) : nullptr;
  return connection != nullptr && connection->write(bytes);
}

void Stream::end(std::string_view last) {
  if (const auto server = server_.lock())
    if (Connection* connection = (*server)->find(connection_)) connection->end_stream(last);
}

}  // namespace sluice::http
