#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "http/message.h"
#include "http/parser.h"
#include "http/server.h"
#include "runtime/loop.h"

namespace sluice::http {

// One client. Destroyed by Server::close, which every failure below ends in.
class Connection final : public runtime::SocketHandler {
 public:
  Connection(Server& server, std::uint64_t id, runtime::Socket socket);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void on_readable() override;
  void on_writable() override;
  void respond(const Response& response);
  void take_request();
  // As Stream says.
  bool write(std::string_view bytes);
  void end_stream(std::string_view last);
  [[nodiscard]] bool idle_since(runtime::TimePoint when) const {
    return !busy_ && last_byte_ < when;
  }

 private:
  void dispatch(Request request);
  void resume_later();
  void refuse(int status);
  void start_stream(const Response& response);
  void add_to_stream(std::string_view bytes);
  void flush();
  void update_interest();

  Server& server_;
  std::uint64_t id_;
  runtime::Socket socket_;
  runtime::TimePoint last_byte_;
  Parser parser_;
  Buffer unparsed_;    // what came with a request and belongs to the next ones; at most one receive
  bool busy_ = false;  // a request is under way
  bool resuming_ = false;   // take_requests() is posted
  bool keep_alive_ = true;  // after the request under way
  bool is_head_ = false;
  bool is_http_1_0_ = false;
  bool wants_room_ = false;  // the streamer waits for it
  bool closing_ = false;     // once `out_` is sent
  std::string out_;
  std::size_t sent_ = 0;
  std::shared_ptr<Streamer> streamer_;  // writes the response under way
};

}  // namespace sluice::http
