// What traces are told of a connection. Nothing here runs while no trace is on.

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include "base/assert.h"
#include "mqtt/connection.h"
#include "mqtt/decode.h"
#include "mqtt/packet_trace.h"

namespace sluice::mqtt {

namespace {

trace::Subject about(const trace::Who& who) { return {.client = who.client, .peer = who.peer}; }

// The whole packet at the front of what this server has written.
std::optional<Frame> first_frame(Bytes written) {
  const auto cut = decode_frame(written, written.size());
  const auto* frame = cut ? std::get_if<Frame>(&*cut) : nullptr;
  return frame != nullptr ? std::optional(*frame) : std::nullopt;
}

std::string topic_of(const hub::DeliveryBatch& batch, const log::Record& record) {
  return std::string(batch.prefix) + std::string(as_text(batch.block->key(record)));
}

}  // namespace

trace::Who Connection::who() const {
  trace::Who who{.client = session_.client_id()};
  if (context_.hub.tracer().asks_for_peers()) who.peer = peer();
  return who;
}

std::string Connection::peer() const { return to_string(channel_.peer(context_.loop)); }

void Connection::trace_accepted() {
  const std::string from = peer();
  context_.hub.tracer().emit("accepted", {.peer = from}, [&](JsonObject& line) {
    line.add("listener", to_string(context_.loop.local_endpoint(channel_.socket())))
        .add("transport", to_string(channel_.transport()));
  });
}

// A packet that the session then takes, or asks to be shown again when there is room for it.
Session::Step Connection::take_traced(const Frame& frame) {
  trace_received(frame);
  const auto step = session_.on_packet(frame);
  if (step == Session::Step::later)
    context_.hub.tracer().emit("held_back", about(who()), [&](JsonObject& line) {
      line.add("packet", to_string(frame.type))
          .add("reason", session_.waits_for_room()   ? "no_room"
                         : session_.waits_for_rate() ? "rate"
                                                     : "receive_maximum");
    });
  return step;
}

void Connection::trace_received(const Frame& frame) {
  trace::Tracer& tracer = context_.hub.tracer();
  trace::Who from = who();
  trace::Subject subject;
  if (frame.type == PacketType::publish) {
    if (const auto packet = decode_publish(frame, session_.version())) {
      subject.topic = session_.topic_of(*packet);
      subject.payload = packet->payload;
    }
  } else if (frame.type == PacketType::connect && from.client.empty()) {
    if (const auto packet = decode_connect(frame.body)) from.client = packet->client_id;
    from.peer = peer();
  }
  subject.client = from.client;
  subject.peer = from.peer;
  if (subject.payload && tracer.wants(subject)) tracer.note_publisher(session_.id(), from);
  tracer.emit("received", subject,
              [&](JsonObject& line) { describe_packet(frame, session_.version(), line); });
}

void Connection::on_unstored(std::string_view topic, Reason reason, std::string_view text) {
  trace::Tracer& tracer = context_.hub.tracer();
  if (!tracer.active()) return;
  const trace::Who from = who();
  tracer.emit("not_stored", {.client = from.client, .peer = from.peer, .topic = topic},
              [&](JsonObject& line) { line.add("reason", to_string(reason)).add("text", text); });
}

void Connection::trace_login(const Result<access::Principal>& principal) {
  context_.hub.tracer().emit("login", about(who()), [&](JsonObject& line) {
    line.add("ok", principal.has_value());
    if (principal)
      line.add("user", principal->name);
    else
      line.add("text", principal.error().text);
  });
}

void Connection::trace_end(Reason reason, std::string_view text) {
  trace_answers();  // they were written before
  context_.hub.tracer().emit("ended", about(who()), [&](JsonObject& line) {
    line.add("reason", to_string(reason)).add("text", text);
  });
}

void Connection::trace_will(const StoredWill& will) {
  const trace::Who from = who();
  context_.hub.tracer().note_publisher(session_.id(), from);
  context_.hub.tracer().emit("will",
                             {.client = from.client, .peer = from.peer, .topic = will.topic},
                             [&](JsonObject& line) { line.add("delay_s", will.wait_s()); });
}

// --- answers, which are told when they are sent

void Connection::note_answer() {
  context_.traced_answers.try_emplace(self_.index, out_ ? out_->size() : 0);
}

// From the first answer on, all that was written since is whole packets. Messages among them have
// been told by deliver_traced().
void Connection::trace_answers() {
  const auto noted = context_.traced_answers.extract(self_.index);
  if (!noted || !out_) return;
  const trace::Who to = who();
  Bytes written = Bytes(*out_).subspan(std::min(noted.mapped(), out_->size()));
  while (const auto frame = first_frame(written)) {
    written = written.subspan(frame->size);
    if (frame->type == PacketType::publish) continue;
    context_.hub.tracer().emit("sent", about(to), [&](JsonObject& line) {
      describe_packet(*frame, session_.version(), line);
    });
  }
}

// --- messages to the client

bool Connection::is_traced(const hub::DeliveryBatch& batch) const {
  const trace::Tracer& tracer = context_.hub.tracer();
  const trace::Who to = who();
  return std::ranges::any_of(batch.deliveries, [&](const hub::Delivery& delivery) {
    const auto records = batch.block->records().subspan(delivery.record, delivery.count);
    return std::ranges::any_of(records, [&](const log::Record& record) {
      const std::string topic = topic_of(batch, record);
      return tracer.wants({.client = to.client, .peer = to.peer, .topic = topic});
    });
  });
}

// As Session::deliver, record by record, so that it can be told what becomes of each.
std::size_t Connection::deliver_traced(const hub::DeliveryBatch& batch, std::size_t done,
                                       std::size_t out_max, Buffer& out) {
  const std::size_t count = hub::count_records(batch.deliveries);
  std::size_t next = done;
  while (next < count && deliver_one_traced(batch, next, out_max, out)) ++next;
  return next - done;
}

bool Connection::deliver_one_traced(const hub::DeliveryBatch& batch, std::size_t nth,
                                    std::size_t out_max, Buffer& out) {
  const std::uint32_t index = hub::record_at(batch.deliveries, nth);
  const auto delivery = std::ranges::find_if(batch.deliveries, [index](const auto& some) {
    return index >= some.record && index < some.record + some.count;
  });
  const hub::Delivery single{index, 1, delivery->grant};
  hub::DeliveryBatch one = batch;
  one.deliveries = {&single, 1};
  one.first_ticket = batch.first_ticket + nth;
  const std::uint64_t expired_before = context_.counters.dropped_expired.value();
  const std::size_t before = out.size();
  if (session_.deliver(one, 0, out_max, out) == 0) return false;
  const bool has_expired = context_.counters.dropped_expired.value() != expired_before;
  trace_delivery(one, Bytes(out).subspan(before), has_expired);
  return true;
}

void Connection::trace_delivery(const hub::DeliveryBatch& one, Bytes written, bool has_expired) {
  const log::Record& record = one.block->records()[one.deliveries.front().record];
  const trace::Who to = who();
  const std::string topic = topic_of(one, record);
  const trace::Subject subject{
      .client = to.client, .peer = to.peer, .topic = topic, .payload = one.block->value(record)};
  const auto frame = first_frame(written);
  context_.hub.tracer().emit(frame ? "delivered" : "not_delivered", subject, [&](JsonObject& line) {
    if (one.origin == hub::Origin::retained)
      line.add("retained", true);
    else
      context_.hub.trace_place(one.partition, one.block->from() + record.offset_delta, line);
    if (one.origin == hub::Origin::shared) line.add("shared", true);
    if (!frame) {
      line.add("reason", has_expired ? "expired" : "packet_too_large");
      return;
    }
    describe_packet(*frame, session_.version(), line);
    const bool from_mqtt = (record.flags & log::Record::has_packed) != 0;
    if (from_mqtt) line.add("published_qos", record.flags & log::Record::qos_mask);
  });
}

// The subscriber takes no more: what it waits for.
void Connection::trace_full() {
  const bool is_output = unsent() >= session_.limits().output_max;
  context_.hub.tracer().emit("full", about(who()), [&](JsonObject& line) {
    line.add("reason", is_output ? "client_does_not_read" : "client_does_not_acknowledge")
        .add("bytes_waiting", unsent())
        .add("in_flight", session_.in_flight());
  });
}

}  // namespace sluice::mqtt
