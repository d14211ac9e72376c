#include "mqtt/session.h"

#include <algorithm>
#include <utility>

#include "mqtt/decode.h"
#include "mqtt/message_properties.h"
#include "mqtt/session_state.h"
#include "mqtt/text.h"
#include "topic/topic.h"

namespace sluice::mqtt {

namespace {

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

Reason reason_of_subscribe(const Error& error) {
  const Reason reason = reason_of(error);
  return reason == Reason::topic_name_invalid ? Reason::topic_filter_invalid : reason;
}

}  // namespace

Session::Session(SessionHost& host, SessionContext& context, std::uint64_t id)
    : host_(host), context_(context), id_(id) {}

Session::~Session() = default;

std::size_t Session::packet_max() const {
  return state_ == State::connected ? context_.options.packet_max
                                    : context_.options.connect_packet_max;
}

Session::Step Session::on_packet(const Frame& frame) {
  if (state_ == State::connected) return on_connected_packet(frame);
  on_first_packet(frame);
  return Step::taken;
}

template <class T, class Take>
void Session::take(const Decoded<T>& packet, Take take_packet) {
  if (!packet) return refuse(packet.error());
  take_packet(*packet);
}

Session::Step Session::on_connected_packet(const Frame& frame) {
  switch (frame.type) {
    case PacketType::publish: {
      const auto packet = decode_publish(frame, version_);
      if (packet) return on_publish(*packet);
      refuse(packet.error());
      break;
    }
    case PacketType::puback:
      take(decode_ack(frame.body, version_), [this](const Ack& ack) { on_puback(ack); });
      break;
    case PacketType::subscribe:
      take(decode_subscribe(frame.body, version_),
           [this](const Subscribe& packet) { on_subscribe(packet); });
      break;
    case PacketType::unsubscribe:
      take(decode_unsubscribe(frame.body, version_),
           [this](const Unsubscribe& packet) { on_unsubscribe(packet); });
      break;
    case PacketType::disconnect:
      take(decode_disconnect(frame.body, version_),
           [this](const Disconnect& packet) { on_disconnect(packet); });
      break;
    case PacketType::pingreq:
      if (auto valid = decode_empty(frame.body); !valid)
        refuse(valid.error());
      else
        encode_pingresp(host_.control_output());
      break;
    case PacketType::connect:
      refuse({Reason::protocol_error, "a second CONNECT"});
      break;
    case PacketType::auth:
      refuse({Reason::protocol_error, "AUTH without an authentication method"});
      break;
    case PacketType::pubrec:
    case PacketType::pubrel:
    case PacketType::pubcomp:
      refuse({Reason::protocol_error, "a packet of QoS 2; the highest offered is 1"});
      break;
    default:
      refuse({Reason::protocol_error, "a packet that only a server sends"});
      break;
  }
  return Step::taken;
}

// --- publishing

Session::Step Session::on_publish(const Publish& packet) {
  if (packet.qos == 1 && receive_ring_.size() >= context_.options.receive_maximum) {
    if (is_v5()) {
      refuse({Reason::receive_maximum_exceeded,
              "more publishes without PUBACK than the receive maximum"});
      return Step::taken;
    }
    waits_ |= wait_window;
    return Step::later;
  }
  hub::Message message{.topic = packet.topic,
                       .payload = packet.payload,
                       .qos = packet.qos,
                       .retain = packet.retain,
                       .publisher = id_,
                       .expiry_s = {}};
  std::optional<Refusal> wrong;
  if (packet.qos > 1)
    wrong = {Reason::qos_not_supported, "PUBLISH with QoS 2; the highest offered is 1"};
  if (is_v5() && packet.retain)
    wrong = {Reason::retain_not_supported, "PUBLISH with retain, which is not offered"};
  if (!packet.properties.bytes.empty()) {
    if (auto read = read_message_properties(packet.properties, message, context_.properties); !read)
      wrong = read.error();
  }
  if (packet.topic.empty()) wrong = {Reason::protocol_error, "PUBLISH without a topic"};
  if (has_wildcard(packet.topic))
    wrong = {Reason::malformed, "the topic of PUBLISH holds a wildcard"};
  if (wrong) {
    refuse(*wrong);
    return Step::taken;
  }
  return publish(packet, message);
}

Session::Step Session::publish(const Publish& packet, const hub::Message& message) {
  if (packet.topic.front() == '$') {
    context_.counters.dropped_topic.add();
    answer_unstored(packet, is_v5() ? Reason::topic_name_invalid : Reason::success);
    return Step::taken;
  }
  if (!unrestricted_ && !host_.check(principal_, access::Action::publish, packet.topic)) {
    context_.counters.dropped_not_authorized.add();
    answer_unstored(packet, is_v5() ? Reason::not_authorized : Reason::success);
    return Step::taken;
  }
  const std::uint64_t sequence = next_sequence_++;
  if (auto result = host_.publish(sequence, message); !result) {
    if (result.error().code == Errc::busy) {
      waits_ |= wait_room;
      return Step::later;
    }
    on_publish_error(packet, result.error());
    return Step::taken;
  }
  context_.counters.received[packet.qos]->add();
  if (packet.qos == 1) {
    receive_ring_.push({sequence, packet.packet_id, Reason::success, false});
    if (durable_up_to_ >= sequence) send_acks();
  }
  return Step::taken;
}

void Session::answer_unstored(const Publish& packet, Reason reason) {
  if (packet.qos == 0) return;
  receive_ring_.push({next_sequence_++, packet.packet_id, reason, true});
  send_acks();
}

void Session::on_publish_error(const Publish& packet, const Error& error) {
  context_.counters.dropped_not_stored.add();
  if (packet.qos == 0) return;
  // 3.1.1 has no negative PUBACK, and none that is positive may be sent for what is not stored.
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
    encode_ack(out, version_, PacketType::puback,
               {.packet_id = entry.packet_id,
                .code = static_cast<std::uint8_t>(entry.reason),
                .properties = {}});
  }
  if (receive_ring_.size() < context_.options.receive_maximum)
    waits_ &= static_cast<std::uint8_t>(~wait_window);
}

// --- subscribing

void Session::on_subscribe(const Subscribe& packet) {
  if (packet.count > context_.options.filters_max)
    return refuse({Reason::quota_exceeded, "too many filters in one SUBSCRIBE"});
  std::uint32_t id = 0;
  for_each_property(packet.properties, [&](const Property& property) {
    if (property.id == PropertyId::subscription_id) id = property.number;
  });
  // One more than there are filters, so that answers within the calls don't finish it early.
  pending_subscribe_ =
      std::make_unique<PendingSubscribe>(packet.packet_id, packet.count + 1, Buffer(packet.count));
  waits_ |= wait_subscribe;
  std::uint32_t index = 0;
  for_each_subscription(packet, [&](const Subscription& subscription) {
    const std::uint32_t place = index++;
    const hub::SubscribeOptions options{.qos = std::min<std::uint8_t>(subscription.qos, 1),
                                        .no_local = subscription.no_local,
                                        .retain_as_published = subscription.retain_as_published,
                                        .id = id};
    pending_subscribe_->codes[place] = std::byte{options.qos};
    const Reason reason = check_filter(subscription.filter);
    if (reason == Reason::success) return host_.subscribe(place, subscription.filter, options);
    pending_subscribe_->codes[place] =
        static_cast<std::byte>(is_v5() ? reason : Reason::unspecified);
    --pending_subscribe_->waiting;
  });
  if (--pending_subscribe_->waiting == 0) send_suback();
}

Reason Session::check_filter(std::string_view filter) {
  if (filter.starts_with("$share/"))
    return topic::parse_shared(filter) ? Reason::shared_subscriptions_not_supported
                                       : Reason::topic_filter_invalid;
  if (!topic::validate_filter(filter)) return Reason::topic_filter_invalid;
  if (std::ranges::count(filter, '/') >= context_.options.filter_levels_max)
    return Reason::topic_filter_invalid;
  if (!unrestricted_ && !host_.check(principal_, access::Action::subscribe, filter))
    return Reason::not_authorized;
  return take_place(filter) ? Reason::success : Reason::quota_exceeded;
}

// A filter that is there already is replaced, and takes no further place.
bool Session::take_place(std::string_view filter) {
  if (host_.has_filter(filter)) return true;
  if (filters_ >= context_.options.subscriptions_max) return false;
  ++filters_;
  return true;
}

void Session::on_subscribed(std::uint32_t index, const Result<void>& result) {
  if (state_ != State::connected) return;
  if (!result)
    pending_subscribe_->codes[index] =
        static_cast<std::byte>(is_v5() ? reason_of_subscribe(result.error()) : Reason::unspecified);
  if (--pending_subscribe_->waiting == 0) send_suback();
}

void Session::send_suback() {
  encode_suback(host_.control_output(), version_,
                {.packet_id = pending_subscribe_->packet_id,
                 .properties = {},
                 .codes = pending_subscribe_->codes});
  pending_subscribe_.reset();
  waits_ &= static_cast<std::uint8_t>(~wait_subscribe);
}

void Session::on_unsubscribe(const Unsubscribe& packet) {
  if (packet.count > context_.options.filters_max)
    return refuse({Reason::quota_exceeded, "too many filters in one UNSUBSCRIBE"});
  Buffer& codes = context_.delivery.encoded;
  codes.clear();
  for_each_filter(packet, [&](std::string_view filter) {
    const bool was_there = host_.unsubscribe(filter);
    if (was_there) --filters_;
    codes.push_back(
        static_cast<std::byte>(was_there ? Reason::success : Reason::no_subscription_existed));
  });
  encode_unsuback(host_.control_output(), version_,
                  {.packet_id = packet.packet_id, .properties = {}, .codes = codes});
}

std::size_t Session::deliver(std::string_view prefix, const log::Block& block,
                             std::span<const hub::Delivery> deliveries, std::size_t out_max,
                             Buffer& out) {
  return outbound_.deliver(prefix, block, deliveries, out_max, out, context_.delivery);
}

// An id that is not in flight is ignored: the client may acknowledge twice.
void Session::on_puback(const Ack& packet) { outbound_.window().release(packet.packet_id); }

// --- ending

void Session::on_disconnect(const Disconnect& packet) {
  bool asks_for_session = false;
  for_each_property(packet.properties, [&](const Property& property) {
    asks_for_session |= property.id == PropertyId::session_expiry && property.number > 0;
  });
  if (asks_for_session && !asked_for_session_)  // [MQTT-3.14.2-2]
    return refuse(
        {Reason::protocol_error, "DISCONNECT asks for a session that CONNECT did not ask for"});
  if (packet.code == 0) will_.reset();
  end(Reason::success, "DISCONNECT");
}

void Session::refuse(const Refusal& refusal) {
  if (state_ == State::ended) return;
  on_ended_by_server(refusal.reason, refusal.text);
}

void Session::on_ended_by_server(Reason reason, std::string_view text) {
  if (state_ == State::connected && is_v5()) send_disconnect(reason, text);
  end(reason, text);
}

void Session::on_lost(std::string_view text) { end(Reason::success, text); }

void Session::send_disconnect(Reason reason, std::string_view text) {
  Buffer& properties = context_.delivery.encoded;
  properties.clear();
  if (has_room_for_reason_string(text))
    PropertyWriter(properties).text(PropertyId::reason_string, text);
  encode_disconnect(host_.control_output(), version_,
                    {.code = static_cast<std::uint8_t>(reason), .properties = {properties}});
}

// A reason string may not make a packet larger than the client takes ([MQTT-3.2.2-19],
// [MQTT-3.14.2-3]).
bool Session::has_room_for_reason_string(std::string_view text) const {
  constexpr std::size_t around = 16;
  return outbound_.packet_max() == 0 || text.size() + around <= outbound_.packet_max();
}

void Session::end(Reason reason, std::string_view text) {
  if (state_ == State::ended) return;
  if (state_ != State::connected) will_.reset();
  state_ = State::ended;
  host_.end(reason, text);
}

bool Session::publish_will() {
  if (!will_) return false;
  hub::Message message{.topic = will_->topic,
                       .payload = will_->payload,
                       .qos = will_->qos,
                       .retain = will_->retain,
                       .publisher = id_,
                       .expiry_s = {}};
  const auto read = read_message_properties({will_->properties}, message, context_.properties);
  SLUICE_ASSERT(
      read.has_value());  // what is refused is not allowed in a will, so CONNECT was refused
  if (!host_.publish(next_sequence_++, message)) context_.counters.dropped_will.add();
  will_.reset();
  return true;
}

void Session::drop_will() { will_.reset(); }

void Session::release_idle_memory() {
  receive_ring_.release_if_empty();
  outbound_.window().release_if_empty();
}

}  // namespace sluice::mqtt
