#include "mqtt/session.h"

#include <algorithm>
#include <optional>

#include "base/utf8.h"
#include "mqtt/decode.h"
#include "mqtt/property.h"
#include "mqtt/session_state.h"
#include "topic/topic.h"

namespace sluice::mqtt {

namespace {

// The user property of SUBSCRIBE that says where replays begin.
constexpr std::string_view start_property = "stream-offset";

Reason reason_of(const Error& error) {
  if (error.code == Errc::too_large) return Reason::quota_exceeded;
  const bool is_filter = error.code == Errc::invalid || error.code == Errc::not_found;
  return is_filter ? Reason::topic_filter_invalid : Reason::implementation_specific;
}

// What a client is told: of errors that are its own all, of others that there was one.
std::string_view text_of(const Error& error) {
  if (error.code == Errc::not_found || error.code == Errc::out_of_range) return error.text;
  if (error.code == Errc::invalid) return "the hub does not take this filter";
  if (error.code == Errc::too_large)
    return "the filters of the session would cover too many partitions";
  return "the hub could not subscribe; the hub's log says why";
}

}  // namespace

Session::Session(SessionHost& host, SessionContext& context, std::uint64_t id)
    : host_(host), context_(context), id_(id) {}

Session::~Session() = default;

Buffer& Session::answer() {
  context_.counters.other_packets_sent.add();
  return host_.control_output();
}

std::size_t Session::packet_max() const {
  return state_ == State::connected ? context_.limits.packet_max
                                    : context_.limits.connect_packet_max;
}

Session::Step Session::on_packet(const Frame& frame) {
  if (state_ == State::connected) return on_connected_packet(frame);
  if (state_ == State::authenticating)
    on_packet_while_authenticating(frame);
  else
    on_first_packet(frame);
  return Step::taken;
}

template <class T, class Take>
void Session::take(const Decoded<T>& packet, Take take_packet) {
  if (!packet) return refuse(packet.error());
  take_packet(*packet);
}

Session::Step Session::on_connected_packet(const Frame& frame) {
  if (is_v5() && !has_shortest_length(frame)) {
    refuse(length_not_shortest);
    return Step::taken;
  }
  switch (frame.type) {
    case PacketType::publish: {
      const auto packet = decode_publish(frame, version_);
      if (packet) return on_publish(*packet);
      refuse(packet.error());
      break;
    }
    case PacketType::puback:
    case PacketType::pubrec:
    case PacketType::pubrel:
    case PacketType::pubcomp:
      take(decode_ack(frame.body, version_), [&](const Ack& ack) { on_ack(frame.type, ack); });
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
        encode_pingresp(answer());
      break;
    case PacketType::connect:
      refuse({Reason::protocol_error, "a second CONNECT"});
      break;
    case PacketType::auth:
      on_auth(frame);
      break;
    default:
      refuse({Reason::protocol_error, "a packet that only a server sends"});
      break;
  }
  return Step::taken;
}

// --- subscribing

void Session::on_subscribe(const Subscribe& packet) {
  if (packet.count > context_.limits.filters_max)
    return refuse({Reason::quota_exceeded, "too many filters in one SUBSCRIBE"});
  const SubscribeProperties properties(packet.properties);
  // One more than there are filters, so that answers within the calls don't finish it early.
  pending_subscribe_ =
      std::make_unique<PendingSubscribe>(packet.packet_id, packet.count + 1, Buffer(packet.count));
  waits_ |= wait_subscribe;
  std::uint32_t index = 0;
  for_each_subscription(packet, [&](const Subscription& subscription) {
    subscribe_one(index++, subscription, properties);
  });
  if (--pending_subscribe_->waiting == 0) send_suback();
}

Session::SubscribeProperties::SubscribeProperties(PropertyBlock properties) {
  for_each_property(properties, [&](const Property& property) {
    if (property.id == PropertyId::subscription_id) id = property.number;
    if (property.id != PropertyId::user_property || property.text != start_property) return;
    start = property.value;
    ++starts;
  });
}

void Session::subscribe_one(std::uint32_t index, const Subscription& subscription,
                            const SubscribeProperties& properties) {
  // Retain handling (3.8.3.1); what 3.1.1 does has the same code, 0.
  const bool send_retained =
      subscription.retain_handling == 0 ||
      (subscription.retain_handling == 1 && !host_.has_filter(subscription.filter));
  const hub::SubscribeOptions options{
      .qos = subscription.qos,
      .no_local = subscription.no_local || bridge_,
      .retain_as_published = subscription.retain_as_published || bridge_,
      .send_retained = send_retained,
      .id = properties.id,
      .window = window_of(subscription.qos)};
  pending_subscribe_->codes[index] = std::byte{options.qos};
  const std::uint16_t had = filters_;
  const auto valid = check_filter(subscription.filter);
  pending_subscribe_->took_place.push_back(filters_ > had);
  if (valid) return ask_to_subscribe(index, subscription.filter, options, properties);
  refuse_filter(index, valid.error().reason, valid.error().text);
  --pending_subscribe_->waiting;
}

void Session::ask_to_subscribe(std::uint32_t index, std::string_view filter,
                               const hub::SubscribeOptions& options,
                               const SubscribeProperties& properties) {
  if (!topic::is_replay(filter)) return host_.subscribe(index, filter, options);
  if (properties.starts > 1)
    return on_subscribed(index, fail(Errc::out_of_range, "{} is there twice", start_property));
  host_.replay(index, filter, options, properties.start);
}

// Of a shared subscription no more may stand open than the client may get without acknowledging.
std::uint32_t Session::window_of(std::uint8_t qos) {
  return qos == 0 ? context_.limits.max_inflight : outbound_.window().limit();
}

Decoded<void> Session::check_filter(std::string_view filter) {
  const bool is_replay = topic::is_replay(filter);
  const auto shared = topic::parse_shared(filter);
  if (!shared || (is_replay && !topic::parse_replay(filter)))
    return refusal(Reason::topic_filter_invalid, "a filter is not well-formed");
  const std::string replayed = is_replay ? host_.topics_of_replay(filter) : std::string();
  const std::string_view plain = is_replay ? replayed : *shared ? (*shared)->filter : filter;
  if (!topic::validate_filter(plain))
    return refusal(Reason::topic_filter_invalid, "a filter is not well-formed");
  if (*shared && plain.starts_with("$SYS/"))
    return refusal(Reason::topic_filter_invalid, "topics under $SYS can't be shared");
  if (std::ranges::count(plain, '/') >= context_.limits.filter_levels_max)
    return refusal(Reason::topic_filter_invalid, "a filter has too many levels");
  if (!unrestricted_ && !may_subscribe(plain))
    return refusal(Reason::not_authorized, "subscribing to a filter is not permitted");
  if (!take_place(filter)) return refusal(Reason::quota_exceeded, "there are too many filters");
  return {};
}

bool Session::may_subscribe(std::string_view filter) {
  return host_.check(principal_, access::Action::subscribe, filter) ||
         (filter.starts_with("$SYS/") && host_.check(principal_, access::Action::administer, {}));
}

// SUBACK has one reason string for all its filters: it is about the first that is refused.
void Session::refuse_filter(std::uint32_t index, Reason reason, std::string_view text) {
  pending_subscribe_->codes[index] = static_cast<std::byte>(is_v5() ? reason : Reason::unspecified);
  constexpr std::size_t shown_max = 400;  // of what may hold the client's own words
  if (pending_subscribe_->trouble.empty())
    pending_subscribe_->trouble = beginning_of(text, shown_max);
}

// A filter that is there already is replaced, and takes no further place.
bool Session::take_place(std::string_view filter) {
  if (host_.has_filter(filter)) return true;
  if (filters_ >= context_.limits.subscriptions_max) return false;
  ++filters_;
  return true;
}

void Session::on_subscribed(std::uint32_t index, const Result<void>& result) {
  if (state_ != State::connected) return;
  if (!result) {
    refuse_filter(index, reason_of(result.error()), text_of(result.error()));
    if (pending_subscribe_->took_place[index]) --filters_;
  }
  if (--pending_subscribe_->waiting == 0) send_suback();
}

void Session::send_suback() {
  const auto& [packet_id, waiting, codes, trouble, took_place] = *pending_subscribe_;
  Buffer& out = answer();
  const std::size_t start = out.size();
  encode_suback(out, version_,
                {.packet_id = packet_id,
                 .properties = trouble.empty() ? PropertyBlock{} : problem(trouble, codes.size()),
                 .codes = codes});
  pending_subscribe_.reset();
  waits_ &= static_cast<std::uint8_t>(~wait_subscribe);
  if (!keep_if_it_fits(out, start))
    refuse({Reason::packet_too_large, "SUBACK would be larger than the client takes"});
}

void Session::on_unsubscribe(const Unsubscribe& packet) {
  if (packet.count > context_.limits.filters_max)
    return refuse({Reason::quota_exceeded, "too many filters in one UNSUBSCRIBE"});
  Buffer& codes = context_.delivery.encoded;
  codes.clear();
  for_each_filter(packet, [&](std::string_view filter) {
    const bool was_there = host_.unsubscribe(filter);
    if (was_there) --filters_;
    codes.push_back(
        static_cast<std::byte>(was_there ? Reason::success : Reason::no_subscription_existed));
  });
  Buffer& out = answer_when_saved();
  const std::size_t start = out.size();
  encode_unsuback(out, version_, {.packet_id = packet.packet_id, .properties = {}, .codes = codes});
  if (!keep_if_it_fits(out, start))
    refuse({Reason::packet_too_large, "UNSUBACK would be larger than the client takes"});
}

// --- ending

void Session::on_disconnect(const Disconnect& packet) {
  if (packet.code != 0 && !is_reason_of(PacketType::disconnect, packet.code))
    return refuse({Reason::protocol_error, "DISCONNECT has none of its reason codes"});
  std::optional<std::uint32_t> session_expiry_s;
  for_each_property(packet.properties, [&](const Property& property) {
    if (property.id == PropertyId::session_expiry) session_expiry_s = property.number;
  });
  if (session_expiry_s.value_or(0) > 0 && !asked_for_session_)  // [MQTT-3.14.2-2]
    return refuse(
        {Reason::protocol_error, "DISCONNECT asks for a session that CONNECT did not ask for"});
  if (packet.code == 0) will_.reset();
  if (will_ && session_expiry_s) will_->session_expiry_s = *session_expiry_s;
  if (stored_ && session_expiry_s)
    stored_->expiry_s = std::min(*session_expiry_s, context_.limits.session_expiry_max_s);
  end(Reason::success, "DISCONNECT");
}

void Session::refuse(const Refusal& refusal) { on_ended_by_server(refusal.reason, refusal.text); }

void Session::on_ended_by_server(Reason reason, std::string_view text) {
  if (state_ == State::ended) return;
  if (state_ == State::connected && is_v5()) send_disconnect(reason, text);
  end(reason, text);
}

void Session::on_server_stops() {
  const bool elsewhere = !context_.limits.server_reference.empty();
  on_ended_by_server(elsewhere ? Reason::use_another_server : Reason::server_shutting_down,
                     "the server is shutting down");
}

// A session that is resumed within the will's delay has not lost its client; one that is begun anew
// is over, which no will outlives (3.1.2.5, 3.1.4).
void Session::on_taken_over(hub::Claim newer) {
  if (will_ && newer == hub::Claim::resume && will_->wait_s() > 0) will_.reset();
  if (will_) will_->delay_s = 0;
  if (newer == hub::Claim::remove)
    return on_ended_by_server(Reason::administrative_action, "an administrator ended the session");
  on_ended_by_server(Reason::session_taken_over, "another connection uses the client id");
}

void Session::on_lost(std::string_view text) { end(Reason::success, text); }

void Session::send_disconnect(Reason reason, std::string_view text) {
  PropertyBlock properties = reason_string(text);
  if (reason == Reason::use_another_server) {
    PropertyWriter(context_.delivery.encoded)
        .text(PropertyId::server_reference, context_.limits.server_reference);
    properties = {context_.delivery.encoded};
  }
  encode_disconnect(answer(), version_,
                    {.code = static_cast<std::uint8_t>(reason), .properties = properties});
}

PropertyBlock Session::reason_string(std::string_view text, std::size_t codes) {
  constexpr std::size_t around = 16;
  Buffer& properties = context_.delivery.encoded;
  properties.clear();
  if (outbound_.packet_max() == 0 || text.size() + codes + around <= outbound_.packet_max())
    PropertyWriter(properties).text(PropertyId::reason_string, text);
  return {properties};
}

PropertyBlock Session::problem(std::string_view text, std::size_t codes) {
  return is_v5() && wants_problems_ ? reason_string(text, codes) : PropertyBlock{};
}

bool Session::keep_if_it_fits(Buffer& out, std::size_t start) const {
  if (outbound_.packet_max() == 0 || out.size() - start <= outbound_.packet_max()) return true;
  out.resize(start);
  return false;
}

void Session::end(Reason reason, std::string_view text) {
  if (state_ == State::ended) return;
  if (state_ != State::connected) will_.reset();
  state_ = State::ended;
  host_.end(reason, text);
}

void Session::describe(ClientState& state) const {
  state.client_id = principal_.client_id;
  state.user = principal_.name;
  state.version = version_;
  state.clean_start = clean_start_;
  state.keep_alive_s = keep_alive_s_;
  state.published = next_sequence_ - 1;
  state.in_flight_from = open_publishes_;
  state.in_flight_to = outbound_.in_flight();
  state.packet_max = outbound_.packet_max();
  state.subscription_count = filters_;
  if (stored_) state.lost = stored_->lost;
  if (!will_) return;
  state.will = ClientState::Will{will_->topic, will_->qos, will_->retain, will_->wait_s()};
}

void Session::release_idle_memory() {
  receive_ring_.release_if_empty();
  outbound_.release_memory_if_empty();
  if (inbound_) inbound_->qos2.release_memory_if_empty();
}

}  // namespace sluice::mqtt
