// The messages of a session: publishes from the client until their PUBACK or PUBCOMP, and the
// client's answers to those it was sent.

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "mqtt/encode.h"
#include "mqtt/message_properties.h"
#include "mqtt/property.h"
#include "mqtt/session.h"
#include "mqtt/session_state.h"
#include "mqtt/text.h"

namespace sluice::mqtt {

namespace {

// The client does not take the message (4.3.2, 4.3.3).
bool is_refusal(const Ack& ack) { return ack.code >= 0x80; }

std::unexpected<Refusal> refusal(Reason reason, const char* text) {
  return std::unexpected(Refusal{reason, text});
}

}  // namespace

Reason reason_of(const Error& error) {
  switch (error.code) {
    case Errc::invalid:
      return Reason::topic_name_invalid;
    case Errc::disk_full:
    case Errc::too_large:
      return Reason::quota_exceeded;
    case Errc::unauthorized:
      return Reason::not_authorized;
    default:
      return Reason::implementation_specific;
  }
}

// --- from the client

Session::Inbound& Session::inbound() {
  if (!inbound_) inbound_ = std::make_unique<Inbound>();
  return *inbound_;
}

Session::Step Session::on_publish(const Publish& packet) {
  hub::Message message{.topic = packet.topic,
                       .payload = packet.payload,
                       .qos = packet.qos,
                       .retain = packet.retain,
                       .publisher = id_,
                       .expiry_s = {},
                       .qos2 = {}};
  if (auto valid = read_publish(packet, message); !valid) {
    refuse(valid.error());
    return Step::taken;
  }
  if (packet.qos == 2 && answer_repeat(packet)) return Step::taken;
  if (packet.qos > 0) {
    // MQTT 3.1.1 knows no receive maximum, and what would make room may come behind this packet: of
    // its publishes only those count that are on their way to the log.
    const std::size_t open = is_v5() ? open_publishes_ : receive_ring_.size();
    if (open >= context_.options.receive_maximum) return on_no_place();
  }
  return publish(packet, message);
}

Decoded<void> Session::read_publish(const Publish& packet, hub::Message& message) {
  if (!packet.properties.bytes.empty()) {
    const auto alias = read_message_properties(packet.properties, message, context_.properties);
    if (!alias) return std::unexpected(alias.error());
    if (*alias)
      if (auto known = resolve_alias(**alias, message); !known) return known;
  }
  if (message.topic.empty())
    return refusal(Reason::protocol_error,
                   "PUBLISH without a topic or a topic alias that is known");
  if (has_wildcard(message.topic))
    return refusal(Reason::malformed, "the topic of PUBLISH holds a wildcard");
  return {};
}

Decoded<void> Session::resolve_alias(std::uint16_t alias, hub::Message& message) {
  if (alias == 0 || alias > context_.options.topic_alias_max)
    return refusal(Reason::topic_alias_invalid, "the topic alias is 0 or above the maximum");
  if (message.topic.empty())
    message.topic = inbound().aliases.find(alias);
  else if (!inbound().aliases.define(alias, message.topic))
    return refusal(Reason::quota_exceeded, "the topics behind topic aliases are too long");
  return {};
}

std::string_view Session::topic_of(const Publish& packet) const {
  if (!packet.topic.empty() || !inbound_) return packet.topic;
  std::string_view topic;
  for_each_property(packet.properties, [&](const Property& property) {
    if (property.id == PropertyId::topic_alias)
      topic = inbound_->aliases.find(static_cast<std::uint16_t>(property.number));
  });
  return topic;
}

// A packet id whose exchange is not over names the message that it named before ([MQTT-4.3.3-10]).
// One that waits for its PUBREC will get it; one that had it gets it again.
bool Session::answer_repeat(const Publish& packet) {
  if (!inbound_) return false;
  const ReceiveState state = inbound_->qos2.state(packet.packet_id);
  if (state == ReceiveState::received) send_ack(PacketType::pubrec, packet.packet_id);
  return state != ReceiveState::none;
}

Session::Step Session::on_no_place() {
  if (is_v5()) {
    refuse({Reason::receive_maximum_exceeded,
            "more publishes are under way than the receive maximum"});
    return Step::taken;
  }
  waits_ |= wait_window;
  return Step::later;
}

Session::Step Session::publish(const Publish& packet, hub::Message& message) {
  if (message.topic.front() == '$') {
    context_.counters.dropped_topic.add();
    host_.on_unstored(message.topic, Reason::topic_name_invalid, "topics with '$' are reserved");
    answer_unstored(packet, is_v5() ? Reason::topic_name_invalid : Reason::success);
    return Step::taken;
  }
  if (!unrestricted_ && !host_.check(principal_, access::Action::publish, message.topic)) {
    context_.counters.dropped_not_authorized.add();
    host_.on_unstored(message.topic, Reason::not_authorized, "not permitted by the user's rules");
    answer_unstored(packet, is_v5() ? Reason::not_authorized : Reason::success);
    return Step::taken;
  }
  const std::uint64_t sequence = next_sequence_++;
  if (packet.qos == 2) message.qos2 = {.uid = id_, .packet_id = packet.packet_id, .n = sequence};
  if (auto result = host_.publish(sequence, message); !result) {
    if (result.error().code == Errc::busy) {
      waits_ |= wait_room;
      return Step::later;
    }
    host_.on_unstored(message.topic, reason_of(result.error()), result.error().text);
    on_publish_error(packet, result.error());
    return Step::taken;
  }
  context_.counters.received[packet.qos]->add();
  if (packet.qos > 0) {
    expect_ack(packet, sequence);
    if (durable_up_to_ >= sequence) send_acks();
  }
  return Step::taken;
}

void Session::expect_ack(const Publish& packet, std::uint64_t sequence) {
  receive_ring_.push({.sequence = sequence,
                      .packet_id = packet.packet_id,
                      .qos = packet.qos,
                      .reason = Reason::success,
                      .decided = false});
  ++open_publishes_;
  if (packet.qos == 2) inbound().qos2.set(packet.packet_id, ReceiveState::taken);
}

void Session::answer_unstored(const Publish& packet, Reason reason) {
  if (packet.qos == 0) return;
  expect_ack(packet, next_sequence_++);
  receive_ring_.back().reason = reason;
  receive_ring_.back().decided = true;
  send_acks();
}

void Session::on_publish_error(const Publish& packet, const Error& error) {
  context_.counters.dropped_not_stored.add();
  if (packet.qos == 0) return;
  // 3.1.1 has no negative answer, and none that is positive may be sent for what is not stored.
  if (!is_v5()) return end(reason_of(error), error.text);
  answer_unstored(packet, reason_of(error));
}

void Session::on_published(std::uint64_t up_to) {
  if (state_ != State::connected) return;
  durable_up_to_ = std::max(durable_up_to_, up_to);
  send_acks();
}

void Session::on_publish_failed(std::uint64_t sequence, const Error& error) {
  if (state_ != State::connected) return;
  context_.counters.dropped_not_stored.add();
  ReceiveRing::Entry* entry = receive_ring_.find(sequence);
  if (!entry) return;
  if (!is_v5()) return end(reason_of(error), error.text);
  entry->reason = reason_of(error);
  entry->decided = true;
  send_acks();
}

void Session::send_acks() {
  if (receive_ring_.empty()) return;
  Buffer& out = host_.control_output();
  for (; !receive_ring_.empty(); receive_ring_.pop()) {
    const ReceiveRing::Entry& entry = receive_ring_.front();
    if (!entry.decided && entry.sequence > durable_up_to_) break;
    send_ack(entry, out);
  }
  if (receive_ring_.size() < context_.options.receive_maximum)
    waits_ &= static_cast<std::uint8_t>(~wait_window);
}

void Session::send_ack(const ReceiveRing::Entry& entry, Buffer& out) {
  encode_ack(out, version_, entry.qos == 2 ? PacketType::pubrec : PacketType::puback,
             {.packet_id = entry.packet_id,
              .code = static_cast<std::uint8_t>(entry.reason),
              .properties = {}});
  const bool goes_on = entry.qos == 2 && entry.reason == Reason::success;
  if (entry.qos == 2)
    inbound_->qos2.set(entry.packet_id, goes_on ? ReceiveState::received : ReceiveState::none);
  if (!goes_on) --open_publishes_;
}

// An id that is not known is answered all the same, so that the client comes to an end with it.
void Session::on_pubrel(const Ack& packet) {
  const ReceiveState state = inbound_ ? inbound_->qos2.state(packet.packet_id) : ReceiveState::none;
  if (state == ReceiveState::none)
    return send_ack(PacketType::pubcomp, packet.packet_id, Reason::packet_id_not_found);
  if (state == ReceiveState::taken)
    return refuse({Reason::protocol_error, "PUBREL for a publish that was not answered by PUBREC"});
  inbound_->qos2.set(packet.packet_id, ReceiveState::none);
  --open_publishes_;
  send_ack(PacketType::pubcomp, packet.packet_id);
}

// --- the client's answers

void Session::on_ack(PacketType type, const Ack& packet) {
  if (packet.code != 0 && !is_reason_of(type, packet.code))
    return refuse({Reason::protocol_error, "an acknowledgement has none of its reason codes"});
  switch (type) {
    case PacketType::puback:
      return on_puback(packet);
    case PacketType::pubrec:
      return on_pubrec(packet);
    case PacketType::pubrel:
      return on_pubrel(packet);
    default:
      SLUICE_ASSERT(type == PacketType::pubcomp);
      return on_pubcomp(packet);
  }
}

// An id that is not in flight is ignored: the client may acknowledge twice.
void Session::on_puback(const Ack& packet) {
  const SendState state = outbound_.window().state(packet.packet_id);
  if (state == SendState::none) return;
  if (state != SendState::sent_qos1)
    return refuse({Reason::protocol_error, "PUBACK for a message of QoS 2"});
  if (is_refusal(packet)) context_.counters.dropped_refused.add();
  finish_sent(packet.packet_id);
}

void Session::on_pubrec(const Ack& packet) {
  SendWindow& window = outbound_.window();
  const SendState state = window.state(packet.packet_id);
  if (state == SendState::sent_qos1)
    return refuse({Reason::protocol_error, "PUBREC for a message of QoS 1"});
  if (is_refusal(packet)) {
    if (state == SendState::none) return;
    context_.counters.dropped_refused.add();
    return finish_sent(packet.packet_id);
  }
  if (state == SendState::none)
    return send_ack(PacketType::pubrel, packet.packet_id, Reason::packet_id_not_found);
  window.release(packet.packet_id);
  send_ack(PacketType::pubrel, packet.packet_id);
}

void Session::on_pubcomp(const Ack& packet) {
  const SendState state = outbound_.window().state(packet.packet_id);
  if (state == SendState::none) return;
  if (state != SendState::released)
    return refuse({Reason::protocol_error, "PUBCOMP for a message that was not released"});
  finish_sent(packet.packet_id);
}

void Session::finish_sent(std::uint16_t packet_id) {
  if (const auto ticket = outbound_.finish(packet_id)) host_.settle(*ticket);
}

void Session::send_ack(PacketType type, std::uint16_t packet_id, Reason reason) {
  encode_ack(host_.control_output(), version_, type,
             {.packet_id = packet_id, .code = static_cast<std::uint8_t>(reason), .properties = {}});
}

}  // namespace sluice::mqtt
