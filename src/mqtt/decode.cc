#include "mqtt/decode.h"

#include "mqtt/property.h"
#include "mqtt/text.h"
#include "topic/topic.h"

namespace sluice::mqtt {

namespace {

std::unexpected<Refusal> malformed(const char* text) { return refusal(Reason::malformed, text); }
std::unexpected<Refusal> broken(const char* text) { return refusal(Reason::protocol_error, text); }

// Fixed header flags other than those of PUBLISH are reserved (2.1.3); MQTT 3.1 has DUP in some.
bool flags_allowed(PacketType type, std::uint8_t flags, Version version) {
  switch (type) {
    case PacketType::publish:
      return true;
    case PacketType::pubrel:
    case PacketType::subscribe:
    case PacketType::unsubscribe:
      return flags == 2 || (flags == 10 && version == Version::v3_1);
    default:
      return flags == 0;
  }
}

Bytes read_sized(Reader& reader) { return reader.take(reader.read<std::uint16_t>()); }
std::string_view read_text(Reader& reader) { return as_text(read_sized(reader)); }

// The length and the properties; nothing in MQTT 3.1.1.
Decoded<PropertyBlock> read_properties(Reader& reader, Version version, PropertyHome home) {
  if (version != Version::v5) return PropertyBlock{};
  const PropertyBlock block{reader.take(read_variable_integer(reader))};
  if (!reader.ok()) return malformed("the properties are cut off, or their length is malformed");
  if (block.bytes.empty()) return block;
  if (auto valid = validate_properties(block, home); !valid) return std::unexpected(valid.error());
  return block;
}

constexpr std::uint8_t level_of_bridge = 0x80;

struct Protocol {
  std::string_view name;
  std::uint8_t level = 0;
};

Protocol read_protocol(Reader& reader) {
  Protocol protocol;
  protocol.name = read_text(reader);
  protocol.level = reader.read<std::uint8_t>();
  return protocol;
}

bool is_bridge(const Protocol& protocol) { return (protocol.level & level_of_bridge) != 0; }

// Nothing if it is not spoken here.
std::optional<Version> version_of(const Protocol& protocol) {
  const auto version = static_cast<Version>(protocol.level & ~level_of_bridge);
  if (protocol.name == "MQIsdp" && version == Version::v3_1) return version;
  if (protocol.name != "MQTT") return std::nullopt;
  if (version == Version::v3_1_1 || (version == Version::v5 && !is_bridge(protocol)))
    return version;
  return std::nullopt;
}

Decoded<Will> read_will(Reader& reader, Version version, std::uint8_t flags) {
  Will will{.topic = {},
            .payload = {},
            .qos = static_cast<std::uint8_t>(flags >> 3 & 3),
            .retain = (flags & 0x20) != 0,
            .properties = {}};
  if (will.qos > 2) return malformed("the will's QoS is 3");
  auto properties = read_properties(reader, version, PropertyHome::will);
  if (!properties) return std::unexpected(properties.error());
  will.properties = *properties;
  will.topic = read_text(reader);
  will.payload = read_sized(reader);
  if (!is_mqtt_text(will.topic)) return malformed("the will's topic is not UTF-8, or holds NUL");
  return will;
}

// Checks [MQTT-3.1.2-11] to [MQTT-3.1.2-19] of 3.1.1, as far as the flags alone can break them.
Decoded<void> check_connect_flags(std::uint8_t flags, Version version) {
  if ((flags & 1) != 0) return malformed("the reserved flag of CONNECT is set");
  const bool has_will = (flags & 0x04) != 0;
  if (!has_will && (flags & 0x38) != 0)
    return malformed("CONNECT has flags of a will, but no will");
  const bool password_alone = (flags & 0xc0) == 0x40;
  if (password_alone && version != Version::v5)
    return malformed("CONNECT has a password, but no user name");
  return {};
}

Decoded<void> check_authentication(PropertyBlock properties) {
  bool method = false;
  bool data = false;
  for_each_property(properties, [&](const Property& property) {
    method |= property.id == PropertyId::authentication_method;
    data |= property.id == PropertyId::authentication_data;
  });
  if (data && !method) return broken("CONNECT has authentication data, but no method");
  return {};
}

}  // namespace

Decoded<std::variant<NeedMore, Frame>> decode_frame(Bytes in, std::size_t size_max,
                                                    Version version) {
  std::size_t body_size = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    if (in.size() < i + 2) return NeedMore{};
    const auto byte = std::to_integer<std::size_t>(in[i + 1]);
    body_size |= (byte & 0x7f) << (7 * i);
    if (byte >= 0x80) continue;

    const auto first = std::to_integer<std::uint8_t>(in[0]);
    const auto type = static_cast<PacketType>(first >> 4);
    const auto flags = static_cast<std::uint8_t>(first & 15);
    const std::size_t header_size = i + 2;
    if (first < 0x10) return malformed("the packet type is 0");
    if (!flags_allowed(type, flags, version))
      return malformed("reserved flags of the fixed header are set");
    if (header_size + body_size > size_max)
      return refusal(Reason::packet_too_large, "the packet is larger than allowed");
    if (in.size() < header_size + body_size) return NeedMore{header_size + body_size};
    return Frame{type, flags, header_size + body_size, in.subspan(header_size, body_size)};
  }
  return malformed("the remaining length is longer than four bytes");
}

std::optional<Version> version_of_connect(Bytes body) {
  Reader reader(body);
  const Protocol protocol = read_protocol(reader);
  return reader.ok() ? version_of(protocol) : std::nullopt;
}

Decoded<Connect> decode_connect(Bytes body) {
  Reader reader(body);
  const Protocol protocol = read_protocol(reader);
  if (!reader.ok()) return malformed("CONNECT is cut off");
  if (protocol.name != "MQTT" && protocol.name != "MQIsdp")
    return malformed("CONNECT names another protocol");
  const auto version = version_of(protocol);
  if (!version)
    return refusal(Reason::unsupported_version, "MQTT 3.1, 3.1.1 and 5 are spoken here");

  Connect connect{.version = *version,
                  .client_id = {},
                  .will = {},
                  .user = {},
                  .password = {},
                  .properties = {}};
  const auto flags = reader.read<std::uint8_t>();
  connect.clean_start = (flags & 0x02) != 0;
  connect.bridge = is_bridge(protocol);
  connect.keep_alive_s = reader.read<std::uint16_t>();
  if (auto valid = check_connect_flags(flags, *version); !valid)
    return std::unexpected(valid.error());
  auto properties = read_properties(reader, *version, PropertyHome::connect);
  if (!properties) return std::unexpected(properties.error());
  connect.properties = *properties;
  connect.client_id = read_text(reader);
  if ((flags & 0x04) != 0) {
    auto will = read_will(reader, *version, flags);
    if (!will) return std::unexpected(will.error());
    connect.will = *will;
  }
  if ((flags & 0x80) != 0) connect.user = read_text(reader);
  if ((flags & 0x40) != 0) connect.password = read_sized(reader);

  if (!reader.ok()) return malformed("CONNECT is cut off");
  if (reader.left() > 0) return malformed("CONNECT is longer than its fields");
  if (!is_mqtt_text(connect.client_id))
    return malformed("the client id is not UTF-8, or holds NUL");
  if (connect.user && !is_mqtt_text(*connect.user))
    return malformed("the user name is not UTF-8, or holds NUL");
  if (auto valid = check_authentication(connect.properties); !valid)
    return std::unexpected(valid.error());
  return connect;
}

Decoded<Connack> decode_connack(Bytes body, Version version) {
  Reader reader(body);
  const auto flags = reader.read<std::uint8_t>();
  Connack connack{
      .session_present = flags == 1, .code = reader.read<std::uint8_t>(), .properties = {}};
  auto properties = read_properties(reader, version, PropertyHome::connack);
  if (!properties) return std::unexpected(properties.error());
  connack.properties = *properties;
  if (!reader.ok() || reader.left() > 0) return malformed("CONNACK has not the size of its fields");
  if (flags > 1) return malformed("reserved flags of CONNACK are set");
  return connack;
}

Decoded<Publish> decode_publish(const Frame& frame, Version version) {
  Reader reader(frame.body);
  Publish publish{.topic = read_text(reader),
                  .payload = {},
                  .qos = static_cast<std::uint8_t>(frame.flags >> 1 & 3),
                  .retain = (frame.flags & 1) != 0,
                  .dup = (frame.flags & 8) != 0,
                  .properties = {}};
  if (publish.qos == 3) return malformed("the QoS of PUBLISH is 3");
  if (publish.qos == 0 && publish.dup && version != Version::v3_1)
    return malformed("PUBLISH has DUP with QoS 0");
  if (publish.qos > 0) publish.packet_id = reader.read<std::uint16_t>();
  if (version == Version::v5) {
    auto properties = read_properties(reader, version, PropertyHome::publish);
    if (!properties) return std::unexpected(properties.error());
    publish.properties = *properties;
  }
  if (!reader.ok()) return malformed("PUBLISH is cut off");
  if (publish.qos > 0 && publish.packet_id == 0) return broken("the packet id of PUBLISH is 0");
  if (!is_mqtt_text(publish.topic)) return malformed("the topic is not UTF-8, or holds NUL");
  publish.payload = reader.rest();
  return publish;
}

// 3.4.2: code and properties may be left out at the end.
Decoded<Ack> decode_ack(Bytes body, Version version) {
  Reader reader(body);
  Ack ack{.packet_id = reader.read<std::uint16_t>(), .properties = {}};
  if (version == Version::v5 && reader.left() > 0) ack.code = reader.read<std::uint8_t>();
  if (version == Version::v5 && reader.left() > 0) {
    auto properties = read_properties(reader, version, PropertyHome::ack);
    if (!properties) return std::unexpected(properties.error());
    ack.properties = *properties;
  }
  if (!reader.ok() || reader.left() > 0)
    return malformed("an acknowledgement has not the size of its fields");
  if (ack.packet_id == 0) return broken("the packet id of an acknowledgement is 0");
  return ack;
}

namespace {

// Packet id and properties, which SUBSCRIBE and UNSUBSCRIBE begin with; the rest is the filters.
Decoded<Subscribe> decode_subscribe_head(Bytes body, Version version, PropertyHome home) {
  Reader reader(body);
  Subscribe subscribe{.packet_id = reader.read<std::uint16_t>(), .properties = {}, .filters = {}};
  auto properties = read_properties(reader, version, home);
  if (!properties) return std::unexpected(properties.error());
  if (!reader.ok()) return malformed("the packet is cut off before its filters");
  if (subscribe.packet_id == 0) return broken("the packet id is 0");
  if (reader.left() == 0) return broken("there is no filter");
  subscribe.properties = *properties;
  subscribe.filters = reader.rest();
  return subscribe;
}

Decoded<void> check_subscription_options(std::uint8_t options, Version version,
                                         std::string_view filter) {
  const int qos = options & 3;
  const int retain_handling = options >> 4 & 3;
  if (qos == 3) return malformed("the QoS of a subscription is 3");
  if ((options & (version == Version::v5 ? 0xc0 : 0xfc)) != 0)
    return malformed("reserved bits of subscription options are set");
  if (retain_handling == 3) return broken("the retain handling of a subscription is 3");
  if ((options & 4) != 0 && topic::is_shared(filter))
    return broken("no-local on a shared subscription");
  return {};
}

Decoded<SubscribeAck> decode_codes(Bytes body, Version version) {
  Reader reader(body);
  SubscribeAck ack{.packet_id = reader.read<std::uint16_t>(), .properties = {}, .codes = {}};
  auto properties = read_properties(reader, version, PropertyHome::ack);
  if (!properties) return std::unexpected(properties.error());
  if (!reader.ok()) return malformed("an acknowledgement is cut off");
  if (ack.packet_id == 0) return broken("the packet id of an acknowledgement is 0");
  ack.properties = *properties;
  ack.codes = reader.rest();
  return ack;
}

}  // namespace

Decoded<Subscribe> decode_subscribe(Bytes body, Version version) {
  auto subscribe = decode_subscribe_head(body, version, PropertyHome::subscribe);
  if (!subscribe) return subscribe;
  Reader reader(subscribe->filters);
  for (; reader.left() > 0; ++subscribe->count) {
    const auto filter = read_text(reader);
    const auto options = reader.read<std::uint8_t>();
    if (!reader.ok()) return malformed("SUBSCRIBE is cut off");
    if (!is_mqtt_text(filter)) return malformed("a topic filter is not UTF-8, or holds NUL");
    if (auto valid = check_subscription_options(options, version, filter); !valid)
      return std::unexpected(valid.error());
  }
  return subscribe;
}

Decoded<Unsubscribe> decode_unsubscribe(Bytes body, Version version) {
  auto unsubscribe = decode_subscribe_head(body, version, PropertyHome::unsubscribe);
  if (!unsubscribe) return unsubscribe;
  Reader reader(unsubscribe->filters);
  for (; reader.left() > 0; ++unsubscribe->count) {
    const auto filter = read_text(reader);
    if (!reader.ok()) return malformed("UNSUBSCRIBE is cut off");
    if (!is_mqtt_text(filter)) return malformed("a topic filter is not UTF-8, or holds NUL");
  }
  return unsubscribe;
}

Decoded<SubscribeAck> decode_subscribe_ack(Bytes body, Version version) {
  auto ack = decode_codes(body, version);
  if (ack && ack->codes.empty()) return malformed("SUBACK has no code");
  return ack;
}

Decoded<SubscribeAck> decode_unsubscribe_ack(Bytes body, Version version) {
  auto ack = decode_codes(body, version);
  if (ack && ack->codes.empty() != (version != Version::v5))
    return malformed("UNSUBACK has codes in MQTT 5 and none in 3.1.1");
  return ack;
}

namespace {

// 3.14.2, 3.15.2: code and properties may be left out at the end.
Decoded<Disconnect> decode_code(Bytes body, PropertyHome home) {
  Disconnect packet;
  if (body.empty()) return packet;
  Reader reader(body);
  packet.code = reader.read<std::uint8_t>();
  if (reader.left() > 0) {
    auto properties = read_properties(reader, Version::v5, home);
    if (!properties) return std::unexpected(properties.error());
    packet.properties = *properties;
  }
  if (reader.left() > 0) return malformed("DISCONNECT or AUTH is longer than its fields");
  return packet;
}

}  // namespace

Decoded<Disconnect> decode_disconnect(Bytes body, Version version) {
  if (version == Version::v5) return decode_code(body, PropertyHome::disconnect);
  if (auto empty = decode_empty(body); !empty) return std::unexpected(empty.error());
  return Disconnect{};
}

Decoded<Auth> decode_auth(Bytes body, Version version) {
  if (version != Version::v5) return broken("AUTH, which only MQTT 5 has");
  return decode_code(body, PropertyHome::auth);
}

Decoded<void> decode_empty(Bytes body) {
  if (!body.empty()) return malformed("the packet has a body, and should have none");
  return {};
}

}  // namespace sluice::mqtt
