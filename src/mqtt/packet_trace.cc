#include "mqtt/packet_trace.h"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

#include "mqtt/decode.h"
#include "mqtt/property.h"

namespace sluice::mqtt {

namespace {

// Names and values of the numbers and texts that a packet's properties hold, of those that decide
// something.
void add_properties(PropertyBlock properties, JsonObject& line) {
  for_each_property(properties, [&](const Property& property) {
    switch (property.id) {
      case PropertyId::session_expiry:
        line.add("session_expiry_s", property.number);
        break;
      case PropertyId::receive_maximum:
        line.add("receive_maximum", property.number);
        break;
      case PropertyId::maximum_packet_size:
        line.add("packet_size_max", property.number);
        break;
      case PropertyId::message_expiry:
        line.add("expiry_s", property.number);
        break;
      case PropertyId::subscription_id:
        line.add("subscription_id", property.number);
        break;
      case PropertyId::topic_alias:
        line.add("topic_alias", property.number);
        break;
      case PropertyId::server_keep_alive:
        line.add("server_keep_alive_s", property.number);
        break;
      case PropertyId::assigned_client_id:
        line.add("assigned_client_id", property.text);
        break;
      case PropertyId::authentication_method:
        line.add("authentication_method", property.text);
        break;
      case PropertyId::reason_string:
        line.add("text", property.text);
        break;
      default:
        break;
    }
  });
}

std::string code_text(std::uint8_t code) { return fmt::format("0x{:02x}", code); }

// In CONNACK, MQTT 3.1.1 has return codes of its own.
void add_code(std::uint8_t code, Version version, JsonObject& line) {
  if (version != Version::v5) {
    line.add("code", fmt::format("{}", code));
    return;
  }
  line.add("code", code_text(code));
  if (code != 0) line.add("reason", to_string(static_cast<Reason>(code)));
}

void add_connect(const Connect& packet, JsonObject& line) {
  line.add("version", to_string(packet.version))
      .add("clean_start", packet.clean_start)
      .add("keep_alive_s", packet.keep_alive_s);
  if (packet.user) line.add("user", *packet.user);
  if (packet.will) line.add("will_topic", packet.will->topic);
  add_properties(packet.properties, line);
}

void add_connack(const Connack& packet, Version version, JsonObject& line) {
  add_code(packet.code, version, line);
  line.add("session_present", packet.session_present);
  add_properties(packet.properties, line);
}

void add_publish(const Publish& packet, JsonObject& line) {
  line.add("qos", packet.qos);
  if (packet.qos > 0) line.add("id", packet.packet_id);
  if (packet.retain) line.add("retain", true);
  if (packet.dup) line.add("dup", true);
  add_properties(packet.properties, line);
}

void add_ack(const Ack& packet, JsonObject& line) {
  line.add("id", packet.packet_id);
  if (packet.code != 0) add_code(packet.code, Version::v5, line);
  add_properties(packet.properties, line);
}

void add_subscribe(const Subscribe& packet, JsonObject& line) {
  std::vector<std::string> filters;
  for_each_subscription(packet, [&](const Subscription& subscription) {
    JsonObject filter;
    filter.add("filter", subscription.filter).add("qos", subscription.qos);
    if (subscription.no_local) filter.add("no_local", true);
    if (subscription.retain_as_published) filter.add("retain_as_published", true);
    if (subscription.retain_handling != 0)
      filter.add("retain_handling", subscription.retain_handling);
    filters.push_back(filter.str());
  });
  line.add("id", packet.packet_id).add_raw("filters", json_array(filters));
  add_properties(packet.properties, line);
}

void add_unsubscribe(const Unsubscribe& packet, JsonObject& line) {
  std::vector<std::string> filters;
  for_each_filter(packet, [&](std::string_view filter) {
    filters.push_back(JsonObject().add("filter", filter).str());
  });
  line.add("id", packet.packet_id).add_raw("filters", json_array(filters));
}

// One code for each filter.
void add_subscribe_ack(const SubscribeAck& packet, Version version, JsonObject& line) {
  std::vector<std::string> codes;
  for (const std::byte byte : packet.codes) {
    const auto code = std::to_integer<std::uint8_t>(byte);
    const bool is_grant = code <= 2;
    const bool has_reason = version == Version::v5 && !is_grant;
    codes.push_back(json_string(
        has_reason ? fmt::format("{} {}", code_text(code), to_string(static_cast<Reason>(code)))
                   : code_text(code)));
  }
  line.add("id", packet.packet_id).add_raw("codes", json_array(codes));
}

void add_disconnect(const Disconnect& packet, JsonObject& line) {
  add_code(packet.code, Version::v5, line);
  add_properties(packet.properties, line);
}

template <class T, class Add>
void add_if_valid(const Decoded<T>& packet, Add add) {
  if (packet) add(*packet);
}

}  // namespace

void describe_packet(const Frame& frame, Version version, JsonObject& line) {
  line.add("packet", to_string(frame.type)).add("size", frame.size);
  switch (frame.type) {
    case PacketType::connect:
      return add_if_valid(decode_connect(frame.body),
                          [&](auto& packet) { add_connect(packet, line); });
    case PacketType::connack:
      return add_if_valid(decode_connack(frame.body, version),
                          [&](auto& packet) { add_connack(packet, version, line); });
    case PacketType::publish:
      return add_if_valid(decode_publish(frame, version),
                          [&](auto& packet) { add_publish(packet, line); });
    case PacketType::puback:
    case PacketType::pubrec:
    case PacketType::pubrel:
    case PacketType::pubcomp:
      return add_if_valid(decode_ack(frame.body, version),
                          [&](auto& packet) { add_ack(packet, line); });
    case PacketType::subscribe:
      return add_if_valid(decode_subscribe(frame.body, version),
                          [&](auto& packet) { add_subscribe(packet, line); });
    case PacketType::suback:
      return add_if_valid(decode_subscribe_ack(frame.body, version),
                          [&](auto& packet) { add_subscribe_ack(packet, version, line); });
    case PacketType::unsubscribe:
      return add_if_valid(decode_unsubscribe(frame.body, version),
                          [&](auto& packet) { add_unsubscribe(packet, line); });
    case PacketType::unsuback:
      return add_if_valid(decode_unsubscribe_ack(frame.body, version),
                          [&](auto& packet) { add_subscribe_ack(packet, version, line); });
    case PacketType::disconnect:
      return add_if_valid(decode_disconnect(frame.body, version),
                          [&](auto& packet) { add_disconnect(packet, line); });
    case PacketType::auth:
      return add_if_valid(decode_auth(frame.body, version),
                          [&](auto& packet) { add_disconnect(packet, line); });
    default:
      return;
  }
}

}  // namespace sluice::mqtt
