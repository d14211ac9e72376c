#include "kafka/outbox.h"

#include <algorithm>
#include <array>

namespace sluice::kafka {

namespace {
constexpr std::size_t gathered_max = 64;         // pieces in one call
constexpr std::size_t turn_share = 1024 * 1024;  // bytes of one connection in one turn
}  // namespace

void Outbox::push(Frame frame) {
  const auto text = std::make_shared<const Buffer>(std::move(frame.bytes));
  std::size_t from = 0;
  for (auto& splice : frame.splices) {
    add({Bytes(*text).subspan(from, splice.at - from), text});
    add(std::move(splice.slice));
    from = splice.at;
  }
  add({Bytes(*text).subspan(from), text});
}

void Outbox::add(Slice piece) {
  if (piece.bytes.empty()) return;
  size_ += piece.bytes.size();
  pieces_.push_back(std::move(piece));
}

Outbox::Flushed Outbox::flush(runtime::Loop& loop, net::Channel& channel) {
  Flushed flushed;
  while (!empty() && flushed.bytes < turn_share) {
    std::array<Bytes, gathered_max> gather;
    const std::size_t count = std::min(gathered_max, pieces_.size() - first_);
    for (std::size_t i = 0; i < count; ++i) gather[i] = pieces_[first_ + i].bytes;
    const auto sent = channel.send(loop, std::span(gather).first(count));
    if (sent.state == runtime::Transfer::State::closed) {
      flushed.closed = true;
      return flushed;
    }
    drop(sent.bytes);
    flushed.bytes += sent.bytes;
    if (sent.state == runtime::Transfer::State::would_block) return flushed;
  }
  return flushed;
}

void Outbox::drop(std::size_t bytes) {
  size_ -= bytes;
  while (first_ < pieces_.size() && bytes >= pieces_[first_].bytes.size()) {
    bytes -= pieces_[first_].bytes.size();
    pieces_[first_++] = {};
  }
  if (size_ == 0) {
    pieces_ = {};
    first_ = 0;
  } else {
    pieces_[first_].bytes = pieces_[first_].bytes.subspan(bytes);
  }
}

}  // namespace sluice::kafka
