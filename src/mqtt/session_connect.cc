// How a session begins: CONNECT, and all that can be wrong with it.

#include <fmt/format.h>

#include <algorithm>

#include "mqtt/decode.h"
#include "mqtt/message_properties.h"
#include "mqtt/session.h"
#include "mqtt/session_state.h"
#include "topic/topic.h"

namespace sluice::mqtt {

namespace {

std::unexpected<Refusal> refusal(Reason reason, const char* text) {
  return std::unexpected(Refusal{reason, text});
}

// The return codes of MQTT 3.1.1 (3.2.2.3 there); 0: it has none for this, and the connection is
// just closed.
std::uint8_t return_code_3_1_1(Reason reason) {
  switch (reason) {
    case Reason::unsupported_version:
      return 1;
    case Reason::client_id_invalid:
      return 2;
    case Reason::server_unavailable:
      return 3;
    case Reason::bad_user_or_password:
      return 4;
    case Reason::not_authorized:
      return 5;
    default:
      return 0;
  }
}

}  // namespace

void Session::on_first_packet(const Frame& frame) {
  if (frame.type != PacketType::connect)
    return end(Reason::protocol_error, "the first packet is not CONNECT");
  const auto connect = decode_connect(frame.body);
  if (!connect) {
    const auto version = version_of_connect(frame.body);
    return refuse_connect(version.value_or(Version::v3_1_1), connect.error());
  }
  version_ = connect->version;
  if (auto accepted = on_connect(*connect); !accepted) refuse_connect(version_, accepted.error());
}

Decoded<void> Session::on_connect(const Connect& connect) {
  if (auto valid = read_connect_properties(connect); !valid) return valid;
  if (auto valid = take_client_id(connect); !valid) return valid;
  keep_alive_s_ = connect.keep_alive_s;
  const std::uint16_t cut = context_.options.keep_alive_max_s;
  if (is_v5() && cut != 0 && (keep_alive_s_ == 0 || keep_alive_s_ > cut)) {
    keep_alive_s_ = cut;
    keep_alive_cut_ = true;
  }
  if (auto valid = log_in(connect); !valid) return valid;
  if (connect.will) {
    if (auto valid = take_will(*connect.will); !valid) return valid;
  }
  state_ = State::claiming;
  waits_ |= wait_claim;
  host_.claim(client_id_, id_);
  return {};
}

Decoded<void> Session::read_connect_properties(const Connect& connect) {
  std::uint16_t receive_maximum = 65'535;
  std::uint32_t packet_max = 0;
  bool authentication = false;
  for_each_property(connect.properties, [&](const Property& property) {
    switch (property.id) {
      case PropertyId::session_expiry:
        asked_for_session_ = property.number > 0;
        break;
      case PropertyId::receive_maximum:
        receive_maximum = static_cast<std::uint16_t>(property.number);
        break;
      case PropertyId::maximum_packet_size:
        packet_max = property.number;
        break;
      case PropertyId::authentication_method:
        authentication = true;
        break;
      default:
        break;
    }
  });
  outbound_.configure(version_, std::min(receive_maximum, context_.options.max_inflight),
                      packet_max);
  if (authentication)
    return refusal(Reason::bad_authentication_method, "no authentication method is offered");
  return {};
}

Decoded<void> Session::take_client_id(const Connect& connect) {
  if (connect.client_id.size() > context_.options.client_id_max)
    return refusal(Reason::client_id_invalid, "the client id is too long");
  if (!connect.client_id.empty()) {
    client_id_ = connect.client_id;
    return {};
  }
  if (!is_v5() && !connect.clean_start)
    return refusal(Reason::client_id_invalid,
                   "no client id, and no clean session");  // [MQTT-3.1.3-8]
  client_id_ = fmt::format("sluice-{:016x}", id_);
  assigned_client_id_ = true;
  return {};
}

Decoded<void> Session::log_in(const Connect& connect) {
  auto principal = host_.authenticate({.protocol = "mqtt",
                                       .peer = {},
                                       .client_id = client_id_,
                                       .user = connect.user.value_or(""),
                                       .password = as_text(connect.password.value_or(Bytes{}))});
  if (!principal) {
    context_.counters.auth_failures.add();
    return refusal(connect.user ? Reason::bad_user_or_password : Reason::not_authorized,
                   "the login was refused");
  }
  principal_ = std::move(*principal);
  unrestricted_ = host_.unrestricted(principal_);
  return {};
}

Decoded<void> Session::take_will(const Will& will) {
  if (will.qos > 1)
    return refusal(Reason::qos_not_supported, "the will has QoS 2; the highest offered is 1");
  if (is_v5() && will.retain)
    return refusal(Reason::retain_not_supported, "the will is to be retained");
  if (!topic::validate_topic_name(will.topic) || will.topic.starts_with('$'))
    return refusal(Reason::topic_name_invalid, "the will's topic is not allowed");
  if (!unrestricted_ && !host_.check(principal_, access::Action::publish, will.topic))
    return refusal(Reason::not_authorized, "the will's topic is not permitted");
  will_ = std::make_unique<StoredWill>(will);
  return {};
}

void Session::on_claimed(const Result<void>& result) {
  if (state_ != State::claiming) return;
  waits_ &= static_cast<std::uint8_t>(~wait_claim);
  if (!result)
    return refuse_connect(version_,
                          {Reason::server_unavailable, "the client id could not be claimed"});
  state_ = State::connected;
  context_.counters.connects[is_v5() ? 1 : 0]->add();
  send_connack();
}

void Session::send_connack() {
  Buffer& properties = context_.delivery.encoded;
  properties.clear();
  if (is_v5()) {
    PropertyWriter writer(properties);
    const Options& options = context_.options;
    if (asked_for_session_) writer.number(PropertyId::session_expiry, 0);
    writer.number(PropertyId::receive_maximum, options.receive_maximum);
    writer.number(PropertyId::maximum_qos, 1);
    writer.number(PropertyId::retain_available, 0);
    writer.number(PropertyId::maximum_packet_size, static_cast<std::uint32_t>(options.packet_max));
    if (assigned_client_id_) writer.text(PropertyId::assigned_client_id, client_id_);
    writer.number(PropertyId::shared_subscription_available, 0);
    if (keep_alive_cut_) writer.number(PropertyId::server_keep_alive, keep_alive_s_);
  }
  encode_connack(host_.control_output(), version_, {.properties = {properties}});
}

void Session::refuse_connect(Version version, const Refusal& why) {
  Buffer& properties = context_.delivery.encoded;
  properties.clear();
  if (version == Version::v5) {
    if (has_room_for_reason_string(why.text))
      PropertyWriter(properties).text(PropertyId::reason_string, why.text);
    encode_connack(host_.control_output(), version,
                   {.code = static_cast<std::uint8_t>(why.reason), .properties = {properties}});
  } else if (const std::uint8_t code = return_code_3_1_1(why.reason); code != 0) {
    encode_connack(host_.control_output(), version, {.code = code, .properties = {}});
  }
  end(why.reason, why.text);
}

}  // namespace sluice::mqtt
