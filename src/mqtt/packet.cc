#include "mqtt/packet.h"

#include <algorithm>
#include <span>

#include "base/assert.h"

#include <array>

namespace sluice::mqtt {

std::string_view to_string(Version version) {
  if (version == Version::v5) return "5";
  return version == Version::v3_1 ? "3.1" : "3.1.1";
}

std::string_view to_string(PacketType type) {
  constexpr std::array<std::string_view, 16> names = {
      "reserved", "CONNECT",  "CONNACK",    "PUBLISH", "PUBACK",      "PUBREC",
      "PUBREL",   "PUBCOMP",  "SUBSCRIBE",  "SUBACK",  "UNSUBSCRIBE", "UNSUBACK",
      "PINGREQ",  "PINGRESP", "DISCONNECT", "AUTH"};
  return names[static_cast<std::uint8_t>(type) & 15];
}

namespace {

constexpr std::uint8_t of_publish_answers[] = {0x00, 0x10, 0x80, 0x83, 0x87,
                                               0x90, 0x91, 0x97, 0x99};
constexpr std::uint8_t of_releases[] = {0x00, 0x92};
constexpr std::uint8_t of_disconnect[] = {
    0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94,
    0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2};

bool is_in(std::span<const std::uint8_t> codes, std::uint8_t code) {
  return std::ranges::find(codes, code) != codes.end();
}

}  // namespace

bool is_reason_of(PacketType type, std::uint8_t code) {
  switch (type) {
    case PacketType::puback:
    case PacketType::pubrec:
      return is_in(of_publish_answers, code);
    case PacketType::pubrel:
    case PacketType::pubcomp:
      return is_in(of_releases, code);
    default:
      SLUICE_ASSERT(type == PacketType::disconnect);
      return is_in(of_disconnect, code);
  }
}

std::string_view to_string(Reason reason) {
  switch (reason) {
    case Reason::success:
      return "success";
    case Reason::disconnect_with_will:
      return "disconnect_with_will";
    case Reason::no_subscription_existed:
      return "no_subscription_existed";
    case Reason::continue_authentication:
      return "continue_authentication";
    case Reason::reauthenticate:
      return "reauthenticate";
    case Reason::unspecified:
      return "unspecified";
    case Reason::malformed:
      return "malformed";
    case Reason::protocol_error:
      return "protocol_error";
    case Reason::implementation_specific:
      return "implementation_specific";
    case Reason::unsupported_version:
      return "unsupported_version";
    case Reason::client_id_invalid:
      return "client_id_invalid";
    case Reason::bad_user_or_password:
      return "bad_user_or_password";
    case Reason::not_authorized:
      return "not_authorized";
    case Reason::server_unavailable:
      return "server_unavailable";
    case Reason::server_busy:
      return "server_busy";
    case Reason::server_shutting_down:
      return "server_shutting_down";
    case Reason::bad_authentication_method:
      return "bad_authentication_method";
    case Reason::keep_alive_timeout:
      return "keep_alive_timeout";
    case Reason::session_taken_over:
      return "session_taken_over";
    case Reason::topic_filter_invalid:
      return "topic_filter_invalid";
    case Reason::topic_name_invalid:
      return "topic_name_invalid";
    case Reason::packet_id_not_found:
      return "packet_id_not_found";
    case Reason::receive_maximum_exceeded:
      return "receive_maximum_exceeded";
    case Reason::topic_alias_invalid:
      return "topic_alias_invalid";
    case Reason::packet_too_large:
      return "packet_too_large";
    case Reason::message_rate_too_high:
      return "message_rate_too_high";
    case Reason::quota_exceeded:
      return "quota_exceeded";
    case Reason::administrative_action:
      return "administrative_action";
    case Reason::payload_format_invalid:
      return "payload_format_invalid";
    case Reason::use_another_server:
      return "use_another_server";
  }
  return "unknown";
}

}  // namespace sluice::mqtt
