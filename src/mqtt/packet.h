#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>

#include "base/bytes.h"

namespace sluice::mqtt {

// The packets of MQTT 3.1, 3.1.1 and 5 as plain data. Section numbers are those of MQTT 5.0 (OASIS,
// 2019); MQTT 3.1.1 has the same packets without properties and with fewer reasons. Everything that
// came in is a view into the bytes it was decoded from.

// 3.1 differs from 3.1.1 in its protocol name and in where DUP may be set; what is said of 3.1.1
// holds for it, too.
enum class Version : std::uint8_t { v3_1 = 3, v3_1_1 = 4, v5 = 5 };

std::string_view to_string(Version version);

enum class PacketType : std::uint8_t {
  connect = 1,
  connack,
  publish,
  puback,
  pubrec,
  pubrel,
  pubcomp,
  subscribe,
  suback,
  unsubscribe,
  unsuback,
  pingreq,
  pingresp,
  disconnect,
  auth,
};

std::string_view to_string(PacketType type);

// Reason codes (2.4) that sluice sends or looks at; a peer may send others.
enum class Reason : std::uint8_t {
  success = 0x00,  // also: normal disconnection, granted QoS 0
  disconnect_with_will = 0x04,
  no_subscription_existed = 0x11,
  continue_authentication = 0x18,
  reauthenticate = 0x19,
  unspecified = 0x80,
  malformed = 0x81,
  protocol_error = 0x82,
  implementation_specific = 0x83,
  unsupported_version = 0x84,
  client_id_invalid = 0x85,
  bad_user_or_password = 0x86,
  not_authorized = 0x87,
  server_unavailable = 0x88,
  server_busy = 0x89,
  server_shutting_down = 0x8b,
  bad_authentication_method = 0x8c,
  keep_alive_timeout = 0x8d,
  session_taken_over = 0x8e,
  topic_filter_invalid = 0x8f,
  topic_name_invalid = 0x90,
  packet_id_not_found = 0x92,
  receive_maximum_exceeded = 0x93,
  topic_alias_invalid = 0x94,
  packet_too_large = 0x95,
  message_rate_too_high = 0x96,
  quota_exceeded = 0x97,
  administrative_action = 0x98,
  payload_format_invalid = 0x99,
  use_another_server = 0x9c,
};

// Whether a code is one that the standard gives to PUBACK, PUBREC, PUBREL, PUBCOMP or DISCONNECT,
// whoever sends it (the tables of 3.4.2.1 to 3.7.2.1 and 3.14.2.1).
bool is_reason_of(PacketType type, std::uint8_t code);

// A fixed word for logs and metric labels, such as "packet_too_large".
std::string_view to_string(Reason reason);

// Why bytes are no packet, or a packet is not acceptable. The text is a literal and names the field
// at fault.
struct Refusal {
  Reason reason;
  const char* text;
};

template <class T>
using Decoded = std::expected<T, Refusal>;
inline std::unexpected<Refusal> refusal(Reason reason, const char* text) {
  return std::unexpected(Refusal{reason, text});
}

// More bytes are wanted; `total` is the size of the whole packet once its header is there, else 0.
struct NeedMore {
  std::size_t total = 0;
};

// One packet cut out of a stream of bytes; the body has not been looked at.
struct Frame {
  PacketType type;
  std::uint8_t flags;  // low four bits of the first byte
  std::size_t size;    // with the fixed header
  Bytes body;
};

// The properties of a packet as they stand in it, without the length in front. Decoders validate
// them, so readers (property.h) cannot fail. Empty in MQTT 3.1.1.
struct PropertyBlock {
  Bytes bytes;
};

struct Will {
  std::string_view topic;
  Bytes payload{};
  std::uint8_t qos = 0;
  bool retain = false;
  PropertyBlock properties{};
};

struct Connect {
  Version version = Version::v5;
  bool clean_start = true;
  // The client is a bridge, which mosquitto's say by the highest bit of the protocol level: it gets
  // nothing back that it published, and RETAIN flags as they were published. Not in MQTT 5.
  bool bridge = false;
  std::uint16_t keep_alive_s = 0;
  std::string_view client_id{};
  std::optional<Will> will{};
  std::optional<std::string_view> user{};
  std::optional<Bytes> password{};
  PropertyBlock properties{};
};

struct Connack {
  bool session_present = false;
  std::uint8_t code = 0;  // MQTT 5: a Reason; 3.1.1: a return code (3.2.2.3 there)
  PropertyBlock properties{};
};

struct Publish {
  std::string_view
      topic;  // valid UTF-8 without NUL; wildcards and emptiness are the receiver's to judge
  Bytes payload{};
  std::uint16_t packet_id = 0;  // 0 with QoS 0
  std::uint8_t qos = 0;
  bool retain = false;
  bool dup = false;
  PropertyBlock properties{};
};

// PUBACK, PUBREC, PUBREL, PUBCOMP.
struct Ack {
  std::uint16_t packet_id = 0;
  std::uint8_t code = 0;
  PropertyBlock properties{};
};

struct Subscription {
  std::string_view filter;  // valid UTF-8 without NUL, not yet judged as a filter
  std::uint8_t qos = 0;
  bool no_local = false;
  bool retain_as_published = false;
  std::uint8_t retain_handling = 0;
};

// `filters` is the payload, validated: read it with for_each_subscription, or for_each_filter for
// UNSUBSCRIBE.
struct Subscribe {
  std::uint16_t packet_id = 0;
  PropertyBlock properties{};
  Bytes filters{};
  std::uint32_t count = 0;
};
using Unsubscribe = Subscribe;

// SUBACK, UNSUBACK (which has no codes in MQTT 3.1.1).
struct SubscribeAck {
  std::uint16_t packet_id = 0;
  PropertyBlock properties{};
  Bytes codes{};
};

struct Disconnect {
  std::uint8_t code = 0;
  PropertyBlock properties{};
};

// MQTT 5 only.
using Auth = Disconnect;

template <class Visit>
void for_each_filter(const Unsubscribe& packet, Visit visit) {
  Reader reader(packet.filters);
  while (reader.left() > 0) visit(as_text(reader.take(reader.read<std::uint16_t>())));
}

template <class Visit>
void for_each_subscription(const Subscribe& packet, Visit visit) {
  Reader reader(packet.filters);
  while (reader.left() > 0) {
    const auto filter = as_text(reader.take(reader.read<std::uint16_t>()));
    const auto options = reader.read<std::uint8_t>();
    visit(Subscription{.filter = filter,
                       .qos = static_cast<std::uint8_t>(options & 3),
                       .no_local = (options & 4) != 0,
                       .retain_as_published = (options & 8) != 0,
                       .retain_handling = static_cast<std::uint8_t>(options >> 4 & 3)});
  }
}

}  // namespace sluice::mqtt
