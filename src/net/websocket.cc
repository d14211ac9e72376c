#include "net/websocket.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace sluice::net {

namespace {

using runtime::Transfer;

constexpr std::size_t gathered_max = 16;  // pieces of payload in one call

}  // namespace

WebSocketStream::WebSocketStream(ByteStream& below, const AllowedOrigins& origins)
    : below_(below), request_(std::make_unique<UpgradeRequest>(origins)) {}

Transfer WebSocketStream::receive(MutableBytes into) {
  if (ended_) return {Transfer::State::closed, 0};
  const Transfer got = below_.receive(into);
  if (got.bytes == 0) return got;
  const MutableBytes in = into.first(got.bytes);
  const MutableBytes frames = request_ ? in.subspan(take_request(in)) : in;
  const std::size_t payload = open() ? decoder_.decode(frames) : 0;
  if (payload > 0 && frames.data() != into.data())
    std::memmove(into.data(), frames.data(), payload);
  if (open()) look_for_end();
  flush();
  if (payload > 0) return {Transfer::State::ok, payload};
  return {ended_ ? Transfer::State::closed : Transfer::State::would_block, 0};
}

std::size_t WebSocketStream::take_request(Bytes in) {
  const std::size_t taken = request_->feed(in);
  if (!request_->done()) return taken;
  append(control_, as_bytes(request_->response()));
  if (!request_->refusal().empty()) {
    failure_ = {Failure::Kind::upgrade, "websocket: " + request_->refusal()};
    ended_ = close_sent_ = true;
  }
  request_.reset();
  return taken;
}

void WebSocketStream::look_for_end() {
  const auto code = decoder_.close_code();
  if (!code) return;
  if (!decoder_.error().empty())
    failure_ = {Failure::Kind::frame, "websocket: " + std::string(decoder_.error())};
  end(*code, decoder_.error());
}

void WebSocketStream::end(CloseCode code, std::string_view reason) {
  ended_ = true;
  if (close_sent_) return;
  close_sent_ = true;
  if (payload_left_ == 0) append_close_frame(control_, code, reason);
}

Transfer WebSocketStream::send(std::span<const Bytes> pieces) {
  if (ended_) return {Transfer::State::closed, 0};
  if (request_) return {Transfer::State::would_block, 0};
  std::size_t sent = 0;
  Bytes first;  // what is left of pieces[0]
  while (!pieces.empty()) {
    std::array<Bytes, gathered_max> gathered;
    const std::size_t count = std::min(pieces.size(), gathered_max);
    std::copy_n(pieces.begin(), count, gathered.begin());
    if (!first.empty()) gathered[0] = first;
    const Transfer transfer = send_frame(std::span(gathered).first(count));
    if (transfer.state == Transfer::State::closed) return transfer;
    sent += transfer.bytes;
    if (transfer.bytes == 0) break;
    std::size_t gone = transfer.bytes;
    std::size_t i = 0;
    while (i < count && gone >= gathered[i].size()) gone -= gathered[i++].size();
    first = i < count ? gathered[i].subspan(gone) : Bytes();
    pieces = pieces.subspan(i);
    if (has_unsent()) break;
    flush();  // a ping may have come in the middle of the frame
  }
  return {sent > 0 ? Transfer::State::ok : Transfer::State::would_block, sent};
}

// Sends of one frame as much as goes; returns how much of `pieces` that was.
Transfer WebSocketStream::send_frame(std::span<const Bytes> pieces) {
  if (payload_left_ == 0) {
    std::size_t size = 0;
    for (const Bytes piece : pieces) size += piece.size();
    payload_left_ = std::min(size, frame_max);
    append_frame_header(control_, Opcode::binary, payload_left_);
  }
  std::array<Bytes, gathered_max + 1> gathered;
  gathered[0] = control_;
  std::size_t count = 1;
  std::size_t payload = 0;
  for (const Bytes piece : pieces) {
    gathered[count] = piece.first(std::min(piece.size(), payload_left_ - payload));
    payload += gathered[count++].size();
  }
  const Transfer transfer = below_.send(std::span(gathered).first(count));
  const std::size_t of_control = std::min(transfer.bytes, control_.size());
  control_.erase_front(of_control);
  payload_left_ -= transfer.bytes - of_control;
  return {transfer.state, transfer.bytes - of_control};
}

void WebSocketStream::flush() {
  flush_control();
  // One pong at a time, and never between a frame's header and its payload.
  if (control_.empty() && payload_left_ == 0 && open()) {
    if (const auto ping = decoder_.take_ping()) {
      append_frame_header(control_, Opcode::pong, ping->size());
      append(control_, *ping);
      flush_control();
    }
  }
  below_.flush();
}

void WebSocketStream::flush_control() {
  if (control_.empty()) return;
  const Bytes rest = control_;
  control_.erase_front(below_.send({&rest, 1}).bytes);
}

void WebSocketStream::finish() {
  if (open()) end(CloseCode::normal, {});
  flush();
  below_.finish();
}

}  // namespace sluice::net
