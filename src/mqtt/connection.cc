#include "mqtt/connection.h"

#include <algorithm>
#include <cstring>
#include <variant>

#include "base/assert.h"
#include "mqtt/decode.h"
#include "net/foreign.h"

namespace sluice::mqtt {

namespace {

constexpr Logger logger("mqtt");

constexpr std::size_t read_share = 64 << 10;    // bytes per connection and turn
constexpr std::size_t large_packet = 16 << 10;  // from here on, read into a buffer of its own
constexpr std::uint32_t answers_unsent_max =
    8192;  // then reading waits until the client has read them

// Who comes to the wrong port is told so, if the bytes tell.
Refusal at_first(Bytes in, const Refusal& refusal) {
  const std::string_view spoken = net::foreign_protocol(in);
  if (spoken == "TLS") return {refusal.reason, "TLS came to a listener of plain MQTT"};
  if (spoken == "HTTP") return {refusal.reason, "HTTP came to a listener of MQTT"};
  return refusal;
}

}  // namespace

Connection::Connection(ConnectionContext& context, std::uint8_t listener, net::Channel channel,
                       bool has_place, std::uint64_t session_id)
    : context_(context),
      session_(*this, context.listeners[listener]->session(), session_id),
      channel_(std::move(channel)),
      listener_(listener) {
  if (!has_place) session_.deny_place();
}

void Connection::start(hub::Handle self) {
  self_ = self;
  count(1);
  heard_s_ = context_.now_s();
  channel_.attach(context_.loop, *this);
  if (traces()) trace_accepted();
  expect(heard_s_ + static_cast<std::uint32_t>(session_.limits().connect_timeout.count()));
}

// --- input

bool Connection::may_read() const {
  return session_.ready() && answers_unsent_ < answers_unsent_max;
}

void Connection::on_readable() {
  if (!may_read() || resume_posted_) return;
  if (packet_size_ >= large_packet)
    read_large_packet();
  else
    read_into_shared();
  if (lagging_) mark_dirty();  // an acknowledgement may have made room
  watch();
}

void Connection::read_into_shared() {
  Buffer& buffer = context_.read_buffer;
  const std::size_t carried = carried_.size();
  SLUICE_ASSERT(carried + read_share <= buffer.size());
  if (carried > 0) std::memcpy(buffer.data(), carried_.data(), carried);
  const auto transfer =
      channel_.receive(context_.loop, MutableBytes(buffer).subspan(carried, read_share));
  if (!received(transfer)) return;
  const Bytes in = Bytes(buffer).first(carried + transfer.bytes);
  keep(in.subspan(consume(in)));
}

void Connection::read_large_packet() {
  const std::size_t had = carried_.size();
  const std::size_t want = std::min<std::size_t>(packet_size_ - had, read_share);
  if (carried_.capacity() < had + want)
    carried_.reserve(std::min<std::size_t>(packet_size_, std::max(2 * had, had + want)));
  carried_.resize(had + want);
  const auto transfer = channel_.receive(context_.loop, MutableBytes(carried_).subspan(had));
  carried_.resize(had + transfer.bytes);
  if (received(transfer) && carried_.size() == packet_size_) consume_carried();
}

bool Connection::received(const runtime::Transfer& transfer) {
  if (transfer.state == runtime::Transfer::State::closed) session_.on_lost("closed by the client");
  if (transfer.bytes == 0) return false;
  context_.counters.bytes_received.add(transfer.bytes);
  heard_s_ = context_.now_s();
  return true;
}

// Shows the session one packet after the other; returns how many bytes it is done with.
std::size_t Connection::consume(Bytes in) {
  std::size_t used = 0;
  std::size_t packets = 0;
  std::size_t publish_bytes = 0;
  packet_size_ = 0;
  held_back_ = true;
  const bool traced = traces();
  session_.ask_permissions();
  while (may_read()) {
    const auto cut = decode_frame(in.subspan(used), session_.packet_max(), session_.version());
    if (!cut) {
      session_.refuse(session_.connected() ? cut.error() : at_first(in, cut.error()));
      break;
    }
    if (const auto* more = std::get_if<NeedMore>(&*cut)) {
      packet_size_ = static_cast<std::uint32_t>(more->total);
      held_back_ = false;
      break;
    }
    const auto& frame = std::get<Frame>(*cut);
    const auto step = traced ? take_traced(frame) : session_.on_packet(frame);
    if (step == Session::Step::later) break;
    used += frame.size;
    ++packets;
    if (frame.type == PacketType::publish) publish_bytes += frame.size;
  }
  context_.counters.packets_received.add(packets);
  context_.counters.publish_bytes_received.add(publish_bytes);
  if (session_.waits_for_room()) context_.hub.wait_for_room(publisher_);
  if (session_.has_rates()) listener().settle();
  return used;
}

void Connection::consume_carried() {
  const Bytes all = carried_;
  const std::size_t used = consume(all);
  if (used == 0) return;
  Buffer rest;
  append(rest, all.subspan(used));
  carried_ = std::move(rest);
}

void Connection::keep(Bytes rest) {
  if (rest.empty()) {
    if (carried_.capacity() > 0) carried_ = {};
    return;
  }
  carried_.clear();
  append(carried_, rest);
}

// Something has happened that may let the session go on.
void Connection::after_event() {
  post_resume();
  mark_dirty();
}

// What was kept back is shown to the session in the next turn: not within a call of the hub, which
// is busy with others, nor at the end of a turn, when the hub has closed its batches.
void Connection::post_resume() {
  if (interest_.read || resume_posted_ || !held_back_ || carried_.empty() || !may_read()) return;
  resume_posted_ = true;
  context_.loop.post(when_alive([](Connection& connection) { connection.resume_reading(); }));
}

void Connection::resume_reading() {
  resume_posted_ = false;
  if (!carried_.empty() && may_read()) consume_carried();
  mark_dirty();
}

// --- output

Buffer& Connection::output() {
  if (!out_) out_ = context_.pool.acquire();
  mark_dirty();
  return *out_;
}

void Connection::mark_dirty() {
  if (dirty_) return;
  dirty_ = true;
  context_.dirty.push_back(self_);
}

bool Connection::on_turn_end() {
  dirty_ = false;
  session_.end_turn();
  kept_back_ = false;
  if (may_keep_back())
    keep_back();
  else if (!left_)
    flush();
  if (session_.ended()) {
    if (!left_) detach();
    if (session_.is_kept() && !hand_back()) return true;
    tear_down();
    return false;
  }
  session_.go_on();
  resume_delivery();
  post_resume();
  watch();
  return true;
}

// A client that gets its messages one by one with those of many others gets some at once instead.
// Acknowledgements of what it has got must be able to come before its window is full.
bool Connection::may_keep_back() {
  if (!in_portions_ || unsent() == 0 || unsent() >= KeptBack::bytes_max) return false;
  if (lagging_ || session_.ended() || !session_.has_room_again()) return false;
  if (!is_listed_) is_listed_ = context_.kept_back.add(self_, context_.loop.now());
  return is_listed_;
}

// In no more memory than it needs.
void Connection::keep_back() {
  kept_back_ = true;
  if (out_->capacity() <= 2 * KeptBack::bytes_max) return;
  auto small = std::make_unique<Buffer>();
  append(*small, Bytes(*out_).subspan(sent_));
  sent_ = 0;
  context_.pool.release(std::exchange(out_, std::move(small)));
}

void Connection::send_kept_back() {
  is_listed_ = false;
  in_portions_ = false;
  if (kept_back_) mark_dirty();
}

void Connection::flush() {
  if (!context_.traced_answers.empty()) trace_answers();
  if (unsent() > 0) {
    const Bytes rest = Bytes(*out_).subspan(sent_);
    const auto transfer = channel_.send(context_.loop, {&rest, 1});
    if (transfer.state == runtime::Transfer::State::closed)
      session_.on_lost("closed by the client");
    sent_ += static_cast<std::uint32_t>(transfer.bytes);
    context_.counters.bytes_sent.add(transfer.bytes);
  }
  if (unsent() == 0) {
    if (out_) context_.pool.release(std::move(out_));
    out_.reset();
    sent_ = 0;
    answers_unsent_ = 0;
  } else if (sent_ > out_->size() / 2) {
    std::memmove(out_->data(), out_->data() + sent_, unsent());
    out_->resize(unsent());
    sent_ = 0;
  }
}

void Connection::resume_delivery() {
  if (!lagging_ || unsent() > session_.limits().output_max / 2 || !session_.has_room_again())
    return;
  lagging_ = false;
  context_.hub.resume(subscriber_);
}

void Connection::watch() {
  const runtime::Interest wanted{.read = may_read() && !resume_posted_,
                                 .write = unsent() > 0 && !kept_back_};
  if (wanted == interest_) return;
  interest_ = wanted;
  channel_.watch(context_.loop, wanted);
}

// --- time

void Connection::expect(std::uint32_t due_s) { due_s_ = context_.wheel.add(due_s, self_); }

void Connection::on_second(std::uint32_t second) {
  if (second != due_s_ || session_.ended()) return;
  if (!session_.connected())
    return session_.on_ended_by_server(Reason::keep_alive_timeout,
                                       "no CONNECT, or no login, within the time for it");
  session_.release_idle_memory();
  if (!may_read()) heard_s_ = second;  // the silence is ours
  if (heard_s_ + silence_max_s() <= second)
    return session_.on_ended_by_server(Reason::keep_alive_timeout,
                                       "nothing was heard for 1.5 times the keep-alive");
  expect(heard_s_ + silence_max_s());
}

// One and a half times the keep-alive, and never less ([MQTT-3.1.2-24] of 3.1.1): something may
// have been heard at the end of the second that is noted.
std::uint32_t Connection::silence_max_s() const {
  return (session_.keep_alive_s() * 3u + 1) / 2 + 1;
}

// --- the hub

void Connection::on_published(std::uint64_t up_to) {
  session_.on_published(up_to);
  after_event();
}

void Connection::on_publish_failed(std::uint64_t sequence, const Error& error) {
  session_.on_publish_failed(sequence, error);
}

void Connection::on_room() {
  session_.on_room();
  after_event();
}

// Shows the session what was not admitted.
void Connection::on_rate() {
  session_.on_rate();
  resume_reading();
}

std::size_t Connection::on_records(const hub::DeliveryBatch& batch) {
  const std::size_t taken = take_records(batch);
  auto& settled = context_.delivery.settled;
  if (settled.empty()) return taken;
  context_.hub.settle(batch.membership, settled);
  settled.clear();
  return taken;
}

std::size_t Connection::take_records(const hub::DeliveryBatch& batch) {
  WallMs& now = context_.delivery.now;
  if (now == 0) now = context_.loop.wall_ms();
  const std::size_t output_max = session_.limits().output_max;
  const std::size_t count = hub::count_records(batch.deliveries);
  std::size_t taken = 0;
  while (!session_.ended()) {
    taken += deliver(batch, taken);
    if (taken == count) return taken;
    // A full buffer is sent at once: a client that reads is not to lag because a turn brings much.
    const bool buffer_is_full = unsent() >= output_max;
    if (buffer_is_full) flush();
    if (!buffer_is_full || unsent() >= output_max) {
      lagging_ = true;
      if (traces()) trace_full();
      return taken;
    }
  }
  // Nobody gets the rest but other members of a shared subscription, and the next connection of a
  // stored session.
  return batch.origin == hub::Origin::shared || session_.is_kept() ? taken : count;
}

std::size_t Connection::deliver(const hub::DeliveryBatch& batch, std::size_t done) {
  Buffer& sent = output();
  Buffer& out = session_.output_for(batch, sent);
  in_portions_ = batch.in_portions && (unsent() == 0 || in_portions_);
  const std::size_t out_max = (&out == &sent ? sent_ : 0) + session_.limits().output_max;
  const std::size_t had = out.size();
  const std::size_t taken = traces() && is_traced(batch)
                                ? deliver_traced(batch, done, out_max, out)
                                : session_.deliver(batch, done, out_max, out);
  context_.counters.publish_bytes_sent.add(out.size() - had);
  return taken;
}

// --- the end

void Connection::end(Reason reason, std::string_view text) {
  mark_dirty();
  if (traces()) trace_end(reason, text);
  if (reason == Reason::success || reason == Reason::server_shutting_down ||
      reason == Reason::use_another_server)
    return;
  context_.counters.count_refusal(reason);
  const auto now =
      std::chrono::duration_cast<std::chrono::milliseconds>(context_.loop.now().time_since_epoch());
  if (!context_.log_limit.allow(now.count())) return;
  logger.warn("connection ended", {{"peer", peer()},
                                   {"client", session_.client_id()},
                                   {"reason", to_string(reason)},
                                   {"text", text},
                                   {"suppressed", context_.log_limit.take_suppressed()}});
}

void Connection::stop() {
  if (!session_.ended()) session_.on_server_stops();
}

void Connection::count(int change) {
  context_.counters.connections.add(change);
  listener().connections.add(change);
  if (!session_.has_place()) context_.without_place += static_cast<std::size_t>(change);
}

// Nothing is delivered any more, and nothing read.
void Connection::detach() {
  left_ = true;
  count(-1);
  if (session_.has_place()) listener().listener().give_place_back();
  session_.abandon_shared();
  session_.on_detached();
  if (!session_.is_keeping()) leave_hub();
  if (session_.is_kept()) close();
}

void Connection::leave_hub() {
  if (subscriber_.valid()) context_.hub.remove_subscriber(std::exchange(subscriber_, {}));
}

void Connection::close() {
  if (closed_) return;
  closed_ = true;
  channel_.close(context_.loop);
}

void Connection::tear_down() {
  if (publisher_.valid()) context_.hub.remove_publisher(publisher_);
  if (claimed_) leave_will();
  context_.lost.erase(self_.index);
  if (auto granted = context_.taken_over.extract(self_.index)) granted.mapped()();
  close();
}

void Connection::leave_will() {
  auto will = session_.take_will();
  if (!will) return context_.hub.release(session_.client_id(), session_.id());
  will->stored_session = session_.stored_uid();
  if (traces()) trace_will(*will);
  context_.wills.leave(session_.client_id(), std::move(will));
  context_.loop.need_turn_end(runtime::TurnPhase::gather);  // which takes the will along
}

}  // namespace sluice::mqtt
