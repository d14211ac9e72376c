#include "http/connection.h"

#include <array>
#include <utility>

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
  if (streamer_) return;  // nothing follows a stream: it ends the connection
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
  is_http_1_0_ = request.is_http_1_0;
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
  if (!busy_ || streamer_) return;
  if (response.streamer) return start_stream(response);
  busy_ = false;
  closing_ = !keep_alive_;
  out_ += serialize(response, keep_alive_, is_head_ ? Framing::head_only : Framing::length);
  flush();
}

// --- a body that is written bit by bit

void Connection::start_stream(const Response& response) {
  out_ += serialize(response, false, is_http_1_0_ ? Framing::until_end : Framing::chunked);
  streamer_ = response.streamer;
  update_interest();
  streamer_->on_open(Stream(server_.self_, id_));
}

// Is sent in another turn: a failure to send would destroy the streamer in the middle of its call.
bool Connection::write(std::string_view bytes) {
  if (!streamer_ || closing_ || bytes.empty()) return false;
  out_.erase(0, std::exchange(sent_, 0));
  if (out_.size() >= server_.options_.stream_max) {
    wants_room_ = true;
    return false;
  }
  add_to_stream(bytes);
  update_interest();
  return true;
}

void Connection::add_to_stream(std::string_view bytes) {
  if (is_http_1_0_)
    out_ += bytes;
  else
    out_ += chunk(bytes);
}

void Connection::end_stream(std::string_view last) {
  if (!streamer_ || closing_) return;
  if (!last.empty()) add_to_stream(last);
  add_to_stream({});
  closing_ = true;
  busy_ = false;  // a client that does not read the rest is idle
  server_.loop_.post([self = std::weak_ptr(server_.self_), id = id_] {
    if (const auto server = self.lock())
      if (Connection* connection = (*server)->find(id)) connection->flush();
  });
}

// --- bytes

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
  if (std::exchange(wants_room_, false)) streamer_->on_room();
  if (!unparsed_.empty() && !streamer_) resume_later();
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
  // To a stream nothing is answered, but its client may leave.
  const bool read = streamer_ || (!busy_ && !resuming_ && !closing_ && out_.empty());
  server_.loop_.watch(socket_, {.read = read, .write = !out_.empty()});
}

}  // namespace sluice::http
