// How a session begins: CONNECT, and all that can be wrong with it.

#include <fmt/format.h>

#include <algorithm>

#include "mqtt/decode.h"
#include "mqtt/property.h"
#include "mqtt/session.h"
#include "mqtt/session_state.h"
#include "mqtt/text.h"
#include "topic/topic.h"

namespace sluice::mqtt {

namespace {

// The return codes of MQTT 3.1.1 (3.2.2.3 there); 0: it has none for this, and the connection is
// just closed.
std::uint8_t return_code_3_1_1(Reason reason) {
  switch (reason) {
    case Reason::unsupported_version:
      return 1;
    case Reason::client_id_invalid:
      return 2;
    case Reason::server_unavailable:
    case Reason::server_busy:
    case Reason::quota_exceeded:
      return 3;
    case Reason::bad_user_or_password:
      return 4;
    case Reason::not_authorized:
      return 5;
    default:
      return 0;
  }
}

// `%c` and `%u` of a pattern; what is put in is not looked through again.
std::string expand(std::string_view pattern, std::string_view client, std::string_view user) {
  std::string text;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const std::string_view two = pattern.substr(i, 2);
    if (two == "%c" || two == "%u") {
      text += two == "%c" ? client : user;
      ++i;
    } else {
      text += pattern[i];
    }
  }
  return text;
}

// MQTT 3.1.1 has a session that ends with its connection, or one that does not end.
std::uint32_t session_expiry_of(const Connect& connect) {
  if (connect.version != Version::v5) return connect.clean_start ? 0 : sessions::never_expires;
  std::uint32_t seconds = 0;
  for_each_property(connect.properties, [&](const Property& property) {
    if (property.id == PropertyId::session_expiry) seconds = property.number;
  });
  return seconds;
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
  if (is_v5() && !has_shortest_length(frame)) return refuse_connect(version_, length_not_shortest);
  bridge_ = connect->bridge;
  if (auto accepted = on_connect(*connect); !accepted) refuse_connect(version_, accepted.error());
}

Decoded<void> Session::on_connect(const Connect& connect) {
  if (!has_place_) return refusal(Reason::quota_exceeded, "there are too many connections");
  read_connect_properties(connect);
  if (auto valid = take_client_id(connect); !valid) return valid;
  clean_start_ = connect.clean_start;
  keep_alive_s_ = connect.keep_alive_s;
  const std::uint16_t cut = context_.limits.keep_alive_max_s;
  if (is_v5() && cut != 0 && (keep_alive_s_ == 0 || keep_alive_s_ > cut)) {
    keep_alive_s_ = cut;
    keep_alive_cut_ = true;
  }
  if (connect.will) {
    if (auto valid = accept_will(*connect.will, session_expiry_of(connect)); !valid) return valid;
  }
  const auto authenticates = begin_authentication(connect);
  if (!authenticates) return std::unexpected(authenticates.error());
  if (*authenticates) return {};
  has_user_ = connect.user.has_value();
  state_ = State::logging_in;
  waits_ |= wait_login;
  host_.log_in({.protocol = "mqtt",
                .peer = {},
                .client_id = client_id(),
                .user = connect.user.value_or(""),
                .password = as_text(connect.password.value_or(Bytes{}))});
  return {};
}

void Session::read_connect_properties(const Connect& connect) {
  std::uint16_t receive_maximum = 65'535;
  std::uint32_t packet_max = 0;
  std::uint16_t topic_aliases = 0;
  for_each_property(connect.properties, [&](const Property& property) {
    switch (property.id) {
      case PropertyId::receive_maximum:
        receive_maximum = static_cast<std::uint16_t>(property.number);
        break;
      case PropertyId::maximum_packet_size:
        packet_max = property.number;
        break;
      case PropertyId::topic_alias_maximum:
        topic_aliases = static_cast<std::uint16_t>(property.number);
        break;
      case PropertyId::request_problem_information:
        wants_problems_ = property.number != 0;
        break;
      case PropertyId::request_response_information:
        wants_response_information_ = property.number != 0;
        break;
      default:
        break;
    }
  });
  ask_for_session(session_expiry_of(connect));
  const Limits& limits = context_.limits;
  outbound_.configure({.version = version_,
                       .receive_maximum = std::min(receive_maximum, limits.max_inflight),
                       .packet_max = packet_max,
                       .topic_aliases = std::min(topic_aliases, limits.topic_alias_max)});
}

Decoded<void> Session::take_client_id(const Connect& connect) {
  if (connect.client_id.size() > context_.limits.client_id_max)
    return refusal(Reason::client_id_invalid, "the client id is too long");
  if (!connect.client_id.empty()) {
    principal_.client_id = connect.client_id;
    return {};
  }
  if (version_ == Version::v3_1)
    return refusal(Reason::client_id_invalid, "no client id, which MQTT 3.1 asks for");
  if (!is_v5() && !connect.clean_start)
    return refusal(Reason::client_id_invalid,
                   "no client id, and no clean session");  // [MQTT-3.1.3-8]
  principal_.client_id = fmt::format("sluice-{:016x}", id_);
  assigned_client_id_ = true;
  return {};
}

Decoded<void> Session::accept_will(const Will& will, std::uint32_t session_expiry_s) {
  if (is_bridge_notification(will.topic)) return {};  // not kept
  if (!topic::validate_topic_name(will.topic) || will.topic.starts_with('$'))
    return refusal(Reason::topic_name_invalid, "the will's topic is not allowed");
  bool is_utf8 = false;
  for_each_property(will.properties, [&](const Property& property) {
    if (property.id == PropertyId::payload_format) is_utf8 = property.number == 1;
  });
  if (context_.limits.check_payload_format && is_utf8 && !is_valid_utf8(as_text(will.payload)))
    return refusal(
        Reason::payload_format_invalid,
        "the will's payload is not UTF-8, which its payload format indicator says it is");
  will_ = std::make_unique<StoredWill>(will, id_);
  will_->session_expiry_s = session_expiry_s;
  for_each_property(will.properties, [&](const Property& property) {
    if (property.id == PropertyId::will_delay)
      will_->delay_s = std::min(property.number, context_.limits.will_delay_max_s);
  });
  return {};
}

void Session::on_logged_in(Result<access::Principal> principal) {
  if (state_ != State::logging_in) return;
  waits_ &= static_cast<std::uint8_t>(~wait_login);
  if (auto valid = take_principal(std::move(principal)); !valid)
    return refuse_connect(version_, valid.error());
  state_ = State::claiming;
  waits_ |= wait_login;
  host_.claim(client_id(), clean_start_ ? hub::Claim::clean : hub::Claim::resume);
}

Decoded<void> Session::take_principal(Result<access::Principal> principal) {
  if (!principal) {
    if (principal.error().code == Errc::busy)
      return refusal(Reason::server_busy, "too many logins are waiting");
    return refusal(has_user_ ? Reason::bad_user_or_password : Reason::not_authorized,
                   "the login was refused");
  }
  principal->client_id = client_id();
  principal_ = std::move(*principal);
  unrestricted_ = is_unrestricted();
  if (will_ && !unrestricted_ && !host_.check(principal_, access::Action::publish, will_->topic))
    return refusal(Reason::not_authorized, "the will's topic is not permitted");
  return {};
}

void Session::on_claimed(const Result<void>& result) {
  if (state_ != State::claiming) return;
  waits_ &= static_cast<std::uint8_t>(~wait_login);
  if (!result)
    return refuse_connect(version_,
                          {Reason::server_unavailable, "the client id could not be claimed"});
  waits_ |= wait_login;
  open();
}

void Session::accept(bool session_present) {
  waits_ &= static_cast<std::uint8_t>(~wait_login);
  if (!send_connack(session_present))
    return end(Reason::packet_too_large, "CONNACK is larger than the client takes");
  if (stored_uid() == 0) stored_.reset();
  state_ = State::connected;
  context_.counters.connects_of(version_).add();
}

bool Session::send_connack(bool session_present) {
  Buffer& properties = context_.delivery.encoded;
  properties.clear();
  if (is_v5()) {
    PropertyWriter writer(properties);
    const Limits& limits = context_.limits;
    if (stored_ && stored_->expiry_s != stored_->asked_expiry_s)
      writer.number(PropertyId::session_expiry, stored_->expiry_s);
    writer.number(PropertyId::receive_maximum, limits.receive_maximum);
    writer.number(PropertyId::maximum_packet_size, static_cast<std::uint32_t>(limits.packet_max));
    if (limits.topic_alias_max > 0)
      writer.number(PropertyId::topic_alias_maximum, limits.topic_alias_max);
    if (assigned_client_id_) writer.text(PropertyId::assigned_client_id, client_id());
    if (keep_alive_cut_) writer.number(PropertyId::server_keep_alive, keep_alive_s_);
    if (authentication_) {
      writer.text(PropertyId::authentication_method, authentication_->method);
      writer.data(PropertyId::authentication_data,
                  as_bytes(std::exchange(authentication_->last_token, {})));
    }
    if (wants_response_information_) write_response_information(writer);
  }
  Buffer& out = answer();
  const std::size_t start = out.size();
  encode_connack(out, version_, {.session_present = session_present, .properties = {properties}});
  return keep_if_it_fits(out, start);
}

// Where the client may have responses sent to (3.2.2.3.15).
void Session::write_response_information(PropertyWriter& writer) const {
  const std::string topic =
      expand(context_.limits.response_information, client_id(), principal_.name);
  if (topic::validate_topic_name(topic)) writer.text(PropertyId::response_information, topic);
}

void Session::refuse_connect(Version version, const Refusal& why) {
  if (version == Version::v5) {
    Buffer& out = answer();
    const std::size_t start = out.size();
    encode_connack(
        out, version,
        {.code = static_cast<std::uint8_t>(why.reason), .properties = reason_string(why.text)});
    static_cast<void>(keep_if_it_fits(out, start));
  } else if (const std::uint8_t code = return_code_3_1_1(why.reason); code != 0) {
    encode_connack(answer(), version, {.code = code, .properties = {}});
  }
  end(why.reason, why.text);
}

}  // namespace sluice::mqtt
