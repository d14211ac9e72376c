#pragma once

#include <cstdint>
#include <string_view>

#include "mqtt/packet.h"

namespace sluice::mqtt {

// MQTT 5 properties (2.2.2).
enum class PropertyId : std::uint8_t {
  payload_format = 0x01,
  message_expiry = 0x02,
  content_type = 0x03,
  response_topic = 0x08,
  correlation_data = 0x09,
  subscription_id = 0x0b,
  session_expiry = 0x11,
  assigned_client_id = 0x12,
  server_keep_alive = 0x13,
  authentication_method = 0x15,
  authentication_data = 0x16,
  request_problem_information = 0x17,
  will_delay = 0x18,
  request_response_information = 0x19,
  response_information = 0x1a,
  server_reference = 0x1c,
  reason_string = 0x1f,
  receive_maximum = 0x21,
  topic_alias_maximum = 0x22,
  topic_alias = 0x23,
  maximum_qos = 0x24,
  retain_available = 0x25,
  user_property = 0x26,
  maximum_packet_size = 0x27,
  wildcard_subscription_available = 0x28,
  subscription_id_available = 0x29,
  shared_subscription_available = 0x2a,
};

// The sets of properties that the table of 2.2.2.2 tells apart.
enum class PropertyHome : std::uint8_t {
  connect,
  will,
  connack,
  publish,
  ack,  // PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK
  subscribe,
  unsubscribe,
  disconnect,
  auth,
};

// One property. Of the values that one is set which its type says.
struct Property {
  PropertyId id;
  std::uint32_t number = 0;
  std::string_view text;   // of a string; a user property's name
  std::string_view value;  // a user property's value
  Bytes data;              // of binary data
};

// Every property known, allowed here, well-formed, in its range, and there once only (user
// properties, and subscription identifiers of a PUBLISH, apart).
Decoded<void> validate_properties(PropertyBlock block, PropertyHome home);

// Reads the next property of a validated block, or of none that was, until it says so (reader.ok()
// is false).
Property read_property(Reader& reader);

// Calls `visit(const Property&)` for each property of a validated block.
template <class Visit>
void for_each_property(PropertyBlock block, Visit visit) {
  Reader reader(block.bytes);
  while (reader.left() > 0) visit(read_property(reader));
}

// Appends properties to a block that is being made.
class PropertyWriter {
 public:
  explicit PropertyWriter(Buffer& out) : out_(out) {}
  void number(PropertyId id, std::uint32_t value);
  void text(PropertyId id, std::string_view value);
  void data(PropertyId id, Bytes value);
  void user(std::string_view name, std::string_view value);

 private:
  Buffer& out_;
};

}  // namespace sluice::mqtt
