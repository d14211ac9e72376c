#include "http/connection.h"

#include <array>

namespace sluice::http {
namespace {

constexpr std::size_t receive_size = 16 << 10;

}  // namespace

Connection::Connection(Server& server, std::uint64_t id, runtime::Socket socket)
    : server_(server),
      id_(id),
      socket_(socket),
      last_byte_(server.loop_.now()),
      parser_(server.options_.limits) {
  server_.loop_.attach(socket_, *this);
}

Connection::~Connection() { server_.loop_.close(socket_); }

void Connection::on_readable() {
  std::array<std::byte, receive_size> chunk;
  const runtime::Transfer got = server_.loop_.receive(socket_, chunk);
  if (got.state == runtime::Transfer::State::would_block) return;
  if (got.state == runtime::Transfer::State::closed) return server_.close(id_);
  last_byte_ = server_.loop_.now();
  append(unparsed_, Bytes(chunk).first(got.bytes));
  take_request();
}

// Reading rests while a request is under way or another one waits in `unparsed_`, so that one holds
// little more than one receive. May end in the destruction of this connection: callers touch
// nothing afterwards.
void Connection::take_request() {
  resuming_ = false;
  const std::size_t taken = parser_.feed(unparsed_);
  unparsed_.erase_front(taken);
  if (parser_.error_status() != 0) return refuse(parser_.error_status());
  if (auto request = parser_.take()) return dispatch(std::move(*request));
  update_interest();
}

void Connection::dispatch(Request request) {
  busy_ = true;
  keep_alive_ = request.keep_alive;
  is_head_ = request.method == "HEAD";
  request.peer = runtime::to_string(server_.loop_.peer_endpoint(socket_));
  server_.requests_.add();
  update_interest();
  server_.handler_.on_request(request, server_.responder(id_));
}

void Connection::refuse(int status) {
  server_.refused_.add();
  busy_ = true;
  keep_alive_ = false;
  respond(plain_response(status));
}

void Connection::respond(const Response& response) {
  if (!busy_) return;
  busy_ = false;
  closing_ = !keep_alive_;
  out_ += serialize(response, keep_alive_, is_head_);
  flush();
}

void Connection::on_writable() { flush(); }

void Connection::flush() {
  while (sent_ < out_.size()) {
    const Bytes rest = as_bytes(std::string_view(out_).substr(sent_));
    const runtime::Transfer put = server_.loop_.send(socket_, {&rest, 1});
    if (put.state == runtime::Transfer::State::closed) return server_.close(id_);
    if (put.state == runtime::Transfer::State::would_block) return update_interest();
    sent_ += put.bytes;
    last_byte_ = server_.loop_.now();
  }
  out_.clear();
  sent_ = 0;
  if (closing_) return server_.close(id_);
  if (!unparsed_.empty()) resume_later();
  update_interest();
}

// By a post: answers may be given within their handler, and many pipelined requests must not nest.
void Connection::resume_later() {
  resuming_ = true;
  server_.loop_.post([self = std::weak_ptr(server_.self_), id = id_] {
    if (const auto server = self.lock())
      if (Connection* connection = (*server)->find(id)) connection->take_request();
  });
}

// A client that does not read its answers is not read from.
void Connection::update_interest() {
  const bool read = !busy_ && !resuming_ && !closing_ && out_.empty();
  server_.loop_.watch(socket_, {.read = read, .write = !out_.empty()});
}

}  // namespace sluice::http
