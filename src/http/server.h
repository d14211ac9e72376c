#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "base/metrics.h"
#include "base/result.h"
#include "base/task.h"
#include "http/message.h"
#include "http/parser.h"
#include "runtime/loop.h"

namespace sluice::http {

struct Options {
  Limits limits;
  runtime::Duration idle_timeout =
      std::chrono::seconds(30);        // without a byte from the client: closed
  std::size_t connections_max = 256;   // beyond: closed at once
  std::size_t stream_max = 256 << 10;  // bytes of a streamed body that wait for the client
};

// Answers once, on the server's shard, now or later; when the connection is gone by then, nothing
// happens.
using Respond = std::move_only_function<void(Response)>;

class Handler {
 public:
  virtual void on_request(const Request& request, Respond respond) = 0;

 protected:
  ~Handler() = default;
};

class Server;

// The way to a client of a response that is written bit by bit. On the server's shard; may outlive
// the connection.
class Stream {
 public:
  Stream() = default;
  Stream(std::weak_ptr<Server*> server, std::uint64_t connection)
      : server_(std::move(server)), connection_(connection) {}

  // Sends these bytes, later and as a whole. False: options.stream_max bytes wait already, and
  // Streamer::on_room tells when all is sent; or the client is gone. Then nothing was taken.
  bool write(std::string_view bytes);
  // The body is complete with these bytes, for which there is room. The connection is closed when
  // the client has it all, or takes nothing for options.idle_timeout.
  void end(std::string_view last = {});

 private:
  std::weak_ptr<Server*> server_;
  std::uint64_t connection_ = 0;
};

// What writes such a response. It is destroyed when the connection is gone, which may be at any
// time but not within a call of Stream.
class Streamer {
 public:
  virtual ~Streamer() = default;
  virtual void on_open(Stream stream) = 0;
  virtual void on_room() = 0;
};

class Connection;

// HTTP/1.1 on one shard's loop, for control and observation: not made for the message path. One
// request of a connection is worked on at a time; pipelined ones wait in the socket.
class Server final : public runtime::AcceptHandler {
 public:
  Server(runtime::Loop& loop, Handler& handler, Metrics& metrics, Options options);
  ~Server();

  // Returns the address really bound.
  Result<runtime::Endpoint> listen(const runtime::Endpoint& endpoint);
  // Closes the listener and all connections. Answers that are still open go nowhere.
  void stop();
  [[nodiscard]] std::size_t connections() const { return connections_.size(); }

  void on_accept(runtime::Socket socket) override;

 private:
  friend class Connection;
  friend class Stream;
  [[nodiscard]] Connection* find(std::uint64_t id);
  void close(std::uint64_t id);
  void close_idle();
  [[nodiscard]] Respond responder(std::uint64_t id);

  runtime::Loop& loop_;
  Handler& handler_;
  Options options_;
  Counter& requests_;
  Counter& refused_;
  std::uint64_t next_id_ = 1;
  std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  bool listening_ = false;
  runtime::TimerId idle_timer_ = runtime::TimerId::none;
  // Answers hold it weakly: they may outlive the server.
  std::shared_ptr<Server*> self_;
};

}  // namespace sluice::http
