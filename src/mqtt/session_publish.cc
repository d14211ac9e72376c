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
#include "topic/topic.h"

namespace sluice::mqtt {

namespace {

// The client does not take the message (4.3.2, 4.3.3).
bool is_refusal(const Ack& ack) { return ack.code >= 0x80; }

// A bit of the sequences of publishes that on_published() does not speak for.
constexpr std::uint64_t apart = std::uint64_t{1} << 63;

constexpr Refusal unknown_id{Reason::packet_id_not_found, "no exchange has this packet id"};

// The payload format indicator says UTF-8 (3.3.2.3.2).
bool says_what_is_not(const hub::Message& message) {
  return message.properties && message.properties->payload_is_utf8.value_or(false) &&
         !is_valid_utf8(as_text(message.payload));
}

}  // namespace

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
                       .publisher = publisher(),
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
    if (open >= context_.limits.receive_maximum) return on_no_place();
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
  if (alias == 0 || alias > context_.limits.topic_alias_max)
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
  if (!unrestricted_ && context_.has_rates && !admit(packet))
    return on_rate_exceeded(packet, message);
  const bool is_delayed = message.topic.front() == '$' && topic::is_delayed(message.topic);
  if (is_delayed && context_.limits.delay_max_s > 0) return publish_later(packet, message);
  if (const PublishAnswer answer = judge(message); answer != PublishAnswer::positive)
    return refuse_publish(packet, message, answer);
  const std::uint64_t sequence = next_sequence_++;
  if (packet.qos == 2 && !context_.omit.evidence)
    message.qos2 = {.uid = publisher(), .packet_id = packet.packet_id, .n = sequence};
  if (auto result = host_.publish(sequence, message); !result)
    return on_publish_refused(packet, message, result.error());
  context_.counters.received[packet.qos]->add();
  if (packet.qos > 0) {
    expect_ack(packet, sequence);
    if (durable_up_to_ >= sequence) send_acks();
  }
  return Step::taken;
}

// "$delayed/<seconds>/<topic>": from here on it is a message to that topic.
Session::Step Session::publish_later(const Publish& packet, hub::Message& message) {
  std::uint32_t delay_s = 0;
  PublishAnswer answer = take_delay(message, delay_s);
  if (answer == PublishAnswer::positive) answer = judge(message);
  if (answer != PublishAnswer::positive) return refuse_publish(packet, message, answer);
  const std::uint64_t sequence = next_sequence_++ | apart;
  if (auto result = host_.publish_later(sequence, message, delay_s); !result)
    return on_publish_refused(packet, message, result.error());
  context_.counters.received[packet.qos]->add();
  if (packet.qos > 0) expect_ack(packet, sequence);
  return Step::taken;
}

PublishAnswer Session::take_delay(hub::Message& message, std::uint32_t& delay_s) const {
  const auto delayed = topic::parse_delayed(message.topic);
  if (!delayed || delayed->seconds > context_.limits.delay_max_s) {
    context_.counters.dropped_topic.add();
    return PublishAnswer::delay_invalid;
  }
  message.topic = delayed->topic;
  delay_s = delayed->seconds;
  return PublishAnswer::positive;
}

Session::Step Session::refuse_publish(const Publish& packet, const hub::Message& message,
                                      PublishAnswer answer) {
  const Refusal why = to_refusal(answer);
  host_.on_unstored(message.topic, why.reason, why.text);
  const bool is_told = is_v5() && !is_bridge_notification(message.topic);
  answer_unstored(packet, is_told ? answer : PublishAnswer::positive);
  return Step::taken;
}

Session::Step Session::on_publish_refused(const Publish& packet, const hub::Message& message,
                                          const Error& error) {
  if (error.code == Errc::busy) {
    waits_ |= wait_room;
    admitted_ = true;
    return Step::later;
  }
  host_.on_unstored(message.topic, to_refusal(answer_of(error)).reason, error.text);
  on_publish_error(packet, error);
  return Step::taken;
}

// What needs no look into the log. MQTT 3.1.1 has no negative answer: there, what is not let in is
// acknowledged and dropped.
PublishAnswer Session::judge(const hub::Message& message) {
  if (message.topic.front() == '$') {
    context_.counters.dropped_topic.add();
    return PublishAnswer::topic_reserved;
  }
  if (!unrestricted_ && !host_.check(principal_, access::Action::publish, message.topic)) {
    context_.counters.dropped_not_authorized.add();
    return PublishAnswer::not_authorized;
  }
  if (context_.limits.check_payload_format && says_what_is_not(message)) {
    context_.counters.dropped_payload_format.add();
    return PublishAnswer::payload_format_invalid;
  }
  return PublishAnswer::positive;
}

// One that is shown again because the hub had no room counts once.
bool Session::admit(const Publish& packet) {
  if (admitted_) {
    admitted_ = false;
    return true;
  }
  const std::size_t bytes =
      packet.topic.size() + packet.properties.bytes.size() + packet.payload.size();
  return host_.admit(inbound().rate, bytes);
}

Session::Step Session::on_rate_exceeded(const Publish& packet, const hub::Message& message) {
  // 3.1.1 has no negative answer, and none that is positive may be sent for what is not stored.
  const bool may_drop = packet.qos == 0 || is_v5();
  const RateAction action = context_.limits.rate_action;
  if (action == RateAction::disconnect) {
    refuse({Reason::message_rate_too_high, "more is published than the rates allow"});
    return Step::taken;
  }
  if (action == RateAction::drop && may_drop) {
    context_.counters.dropped_rate.add();
    const Refusal why = to_refusal(PublishAnswer::rate_exceeded);
    host_.on_unstored(message.topic, why.reason, why.text);
    answer_unstored(packet, PublishAnswer::rate_exceeded);
    return Step::taken;
  }
  waits_ |= wait_rate;
  host_.wait_for_rate(inbound().rate);
  return Step::later;
}

void Session::expect_ack(const Publish& packet, std::uint64_t sequence) {
  receive_ring_.push({.sequence = sequence,
                      .packet_id = packet.packet_id,
                      .qos = packet.qos,
                      .answer = PublishAnswer::positive,
                      .decided = false});
  ++open_publishes_;
  if (packet.qos == 2) inbound().qos2.set(packet.packet_id, ReceiveState::taken);
}

void Session::answer_unstored(const Publish& packet, PublishAnswer answer) {
  if (packet.qos == 0) return;
  expect_ack(packet, next_sequence_++);
  receive_ring_.back().answer = answer;
  receive_ring_.back().decided = true;
  send_acks();
}

void Session::on_publish_error(const Publish& packet, const Error& error) {
  context_.counters.dropped_not_stored.add();
  if (packet.qos == 0) return;
  // 3.1.1 has no negative answer, and none that is positive may be sent for what is not stored.
  const PublishAnswer answer = answer_of(error);
  if (!is_v5()) return end(to_refusal(answer).reason, error.text);
  answer_unstored(packet, answer);
}

void Session::on_published(std::uint64_t up_to) {
  durable_up_to_ = std::max(durable_up_to_, up_to);
  if (state_ != State::connected) return settle_acks();
  note_moved();
  send_acks();
}

void Session::on_publish_failed(std::uint64_t sequence, const Error& error) {
  if (state_ == State::connected) context_.counters.dropped_not_stored.add();
  ReceiveRing::Entry* entry = receive_ring_.find(sequence);
  if (!entry) return;
  entry->answer = answer_of(error);
  if (state_ != State::connected) {
    entry->decided = true;
    return settle_acks();
  }
  if (!is_v5()) return end(to_refusal(entry->answer).reason, error.text);
  entry->decided = true;
  send_acks();
}

void Session::on_kept(std::uint64_t sequence, const Result<void>& result) {
  if (!result) return on_publish_failed(sequence, result.error());
  ReceiveRing::Entry* entry = receive_ring_.find(sequence);
  if (!entry) return;
  entry->decided = true;
  if (state_ != State::connected) return settle_acks();
  note_moved();
  send_acks();
}

void Session::send_acks() {
  if (receive_ring_.empty()) return;
  Buffer& out = host_.control_output();
  std::size_t positive = 0;
  for (; !receive_ring_.empty(); receive_ring_.pop()) {
    const ReceiveRing::Entry& entry = receive_ring_.front();
    if (!entry.decided && entry.sequence > durable_up_to_) break;
    positive += entry.answer == PublishAnswer::positive ? 1 : 0;
    send_ack(entry, out);
  }
  context_.counters.other_packets_sent.add(positive);
  if (receive_ring_.size() < context_.limits.receive_maximum)
    waits_ &= static_cast<std::uint8_t>(~wait_window);
}

// The connection is over: who gets no PUBREC may ask for it on the next one.
void Session::settle_acks() {
  for (; !receive_ring_.empty(); receive_ring_.pop()) {
    const ReceiveRing::Entry& entry = receive_ring_.front();
    if (!entry.decided && entry.sequence > durable_up_to_) break;
    if (entry.qos == 2)
      inbound_->qos2.set(entry.packet_id, entry.answer == PublishAnswer::positive
                                              ? ReceiveState::received
                                              : ReceiveState::none);
  }
}

void Session::send_ack(const ReceiveRing::Entry& entry, Buffer& out) {
  const PacketType type = entry.qos == 2 ? PacketType::pubrec : PacketType::puback;
  if (entry.answer == PublishAnswer::positive)
    encode_ack(out, version_, type, {.packet_id = entry.packet_id, .properties = {}});
  else
    refuse_packet(type, entry.packet_id, to_refusal(entry.answer));
  const bool goes_on = entry.qos == 2 && entry.answer == PublishAnswer::positive;
  if (entry.qos == 2)
    inbound_->qos2.set(entry.packet_id, goes_on ? ReceiveState::received : ReceiveState::none);
  if (!goes_on) --open_publishes_;
}

// An id that is not known is answered all the same, so that the client comes to an end with it.
void Session::on_pubrel(const Ack& packet) {
  const ReceiveState state = inbound_ ? inbound_->qos2.state(packet.packet_id) : ReceiveState::none;
  if (state == ReceiveState::none)
    return refuse_packet(PacketType::pubcomp, packet.packet_id, unknown_id);
  if (state == ReceiveState::taken)
    return refuse({Reason::protocol_error, "PUBREL for a publish that was not answered by PUBREC"});
  inbound_->qos2.set(packet.packet_id, ReceiveState::none);
  --open_publishes_;
  note_moved();
  encode_ack(context_.omit.pubcomp ? answer() : answer_when_saved(), version_, PacketType::pubcomp,
             {.packet_id = packet.packet_id, .properties = {}});
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
    return refuse_packet(PacketType::pubrel, packet.packet_id, unknown_id);
  window.release(packet.packet_id);
  note_moved();
  encode_ack(context_.omit.pubrel ? answer() : answer_when_saved(), version_, PacketType::pubrel,
             {.packet_id = packet.packet_id, .properties = {}});
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
  if (!stored_) return;
  note_moved();
  if (stored_->again.messages.empty()) return;
  --stored_->again.open;
  send_again();
}

void Session::send_ack(PacketType type, std::uint16_t packet_id) {
  encode_ack(answer(), version_, type, {.packet_id = packet_id, .properties = {}});
}

void Session::refuse_packet(PacketType type, std::uint16_t packet_id, const Refusal& why) {
  encode_ack(answer(), version_, type,
             {.packet_id = packet_id,
              .code = static_cast<std::uint8_t>(why.reason),
              .properties = problem(why.text)});
}

}  // namespace sluice::mqtt
