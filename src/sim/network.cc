#include "sim/network.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace sluice::sim {

using runtime::Transfer;

void ByteQueue::pop(std::size_t count) {
  begin_ += count;
  if (begin_ <= bytes_.size() / 2) return;
  const auto left = size();
  std::memmove(bytes_.data(), bytes_.data() + begin_, left);
  bytes_.resize(left);
  begin_ = 0;
}

Connection::Connection(Events& events, const NetworkFaults& faults, runtime::Endpoint client,
                       runtime::Endpoint server)
    : events_(events), faults_(faults), endpoints_{std::move(client), std::move(server)} {
  for (auto& pipe : pipes_) pipe.window = 1 + events.random().below(faults.window_max);
}

Transfer Connection::send(Side from_side, Bytes bytes) {
  auto& pipe = from(from_side);
  const auto& back = from(other(from_side));
  if (reset_ || pipe.sender_closed || back.end_arrived) return {Transfer::State::closed, 0};
  const auto count = std::min(bytes.size(), room(pipe));
  if (count == 0) return {bytes.empty() ? Transfer::State::ok : Transfer::State::would_block, 0};
  if (back.sender_closed) return {Transfer::State::ok, count};  // nobody reads it any more
  pipe.under_way.push(bytes.first(count));
  plan_delivery(from_side);
  return {Transfer::State::ok, count};
}

Transfer Connection::receive(Side at, MutableBytes into) {
  auto& pipe = from(other(at));
  const auto count = std::min(into.size(), pipe.arrived.size());
  if (count == 0) {
    const bool ended = reset_ || pipe.end_arrived;
    return {ended ? Transfer::State::closed : Transfer::State::would_block, 0};
  }
  std::memcpy(into.data(), pipe.arrived.view().data(), count);
  const bool was_full = room(pipe) == 0;
  pipe.arrived.pop(count);
  if (was_full) notify(other(at));
  return {Transfer::State::ok, count};
}

void Connection::close(Side side) {
  callbacks_[index(side)] = nullptr;
  from(side).sender_closed = true;
  plan_delivery(side);
}

void Connection::reset() {
  if (std::exchange(reset_, true)) return;
  for (auto& pipe : pipes_) {
    pipe.under_way.clear();
    pipe.arrived.clear();
  }
  notify(Side::client);
  notify(Side::server);
}

bool Connection::readable(Side at) const {
  const auto& pipe = from(other(at));
  return reset_ || pipe.end_arrived || pipe.arrived.size() > 0;
}

bool Connection::writable(Side from_side) const { return reset_ || room(from(from_side)) > 0; }

void Connection::on_change(Side side, std::move_only_function<void()> callback) {
  callbacks_[index(side)] = std::move(callback);
}

std::size_t Connection::room(const Pipe& pipe) {
  return pipe.window - std::min(pipe.window, pipe.under_way.size() + pipe.arrived.size());
}

void Connection::plan_delivery(Side sender) {
  if (std::exchange(from(sender).delivery_planned, true)) return;
  auto& random = events_.random();
  const bool stalls = faults_.stall_one_in != 0 && random.one_in(faults_.stall_one_in);
  const auto delay = events_.random_delay(stalls ? faults_.stall_max : faults_.delay_max);
  events_.plan(delay, [self = shared_from_this(), sender] { self->deliver(sender); });
}

void Connection::deliver(Side sender) {
  auto& pipe = from(sender);
  auto& random = events_.random();
  pipe.delivery_planned = false;
  if (reset_) return;
  if (faults_.reset_one_in != 0 && random.one_in(faults_.reset_one_in)) return reset();

  if (const auto waiting = pipe.under_way.size(); waiting > 0) {
    const auto count = random.one_in(2) ? waiting : 1 + random.below(waiting);
    pipe.arrived.push(pipe.under_way.view().first(count));
    pipe.under_way.pop(count);
  } else {
    pipe.end_arrived = pipe.sender_closed;
  }
  if (pipe.under_way.size() > 0 || (pipe.sender_closed && !pipe.end_arrived)) plan_delivery(sender);
  notify(other(sender));
}

void Connection::notify(Side side) {
  if (callbacks_[index(side)]) callbacks_[index(side)]();
}

SimClient::SimClient(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {
  connection_->on_change(Side::client, [this] { pump(); });
}

SimClient::~SimClient() { close(); }

void SimClient::send(Bytes bytes) {
  unsent_.push(bytes);
  pump();
}

void SimClient::resume_reading() {
  reading_ = true;
  pump();
}

void SimClient::close() { connection_->close(Side::client); }

void SimClient::reset() { connection_->reset(); }

void SimClient::pump() {
  while (unsent_.size() > 0) {
    const auto sent = connection_->send(Side::client, unsent_.view());
    if (sent.state != Transfer::State::ok) break;
    unsent_.pop(sent.bytes);
  }
  std::array<std::byte, 4096> chunk;
  while (reading_) {
    const auto got = connection_->receive(Side::client, chunk);
    ended_ |= got.state == Transfer::State::closed;
    if (got.state != Transfer::State::ok) break;
    received_.push(Bytes(chunk).first(got.bytes));
  }
}

}  // namespace sluice::sim
