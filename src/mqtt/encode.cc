#include "mqtt/encode.h"

#include <cstring>

#include "base/assert.h"
#include "mqtt/property.h"
#include "mqtt/variable_integer.h"

namespace sluice::mqtt {

namespace {

constexpr std::size_t body_size_max = 268'435'455;  // 2.1.4
constexpr std::size_t topic_alias_size = 3;         // of the property

std::uint8_t first_byte(PacketType type, std::uint8_t flags) {
  return static_cast<std::uint8_t>(static_cast<std::uint8_t>(type) << 4 | flags);
}

void write_sized(Writer& writer, Bytes bytes) {
  writer.write<std::uint16_t>(static_cast<std::uint16_t>(bytes.size()));
  writer.write_bytes(bytes);
}

void write_properties(Writer& writer, Version version, PropertyBlock properties) {
  if (version != Version::v5) return;
  writer.write_uvarint(properties.bytes.size());
  writer.write_bytes(properties.bytes);
}

// Writes a packet whose body is written by `write_body(Writer&)`, then moves it behind a length of
// the right size.
template <class WriteBody>
void write_packet(Buffer& out, PacketType type, std::uint8_t flags, WriteBody write_body) {
  Writer writer(out);
  writer.write<std::uint8_t>(first_byte(type, flags));
  const std::size_t body_at = out.size();
  write_body(writer);
  const std::size_t body_size = out.size() - body_at;
  SLUICE_ASSERT(body_size <= body_size_max);

  const std::size_t length_size = variable_integer_size(body_size);
  out.resize(out.size() + length_size);
  std::memmove(out.data() + body_at + length_size, out.data() + body_at, body_size);
  std::size_t rest = body_size;
  for (std::size_t i = 0; i < length_size; ++i, rest >>= 7)
    out[body_at + i] = static_cast<std::byte>((rest & 0x7f) | (i + 1 < length_size ? 0x80 : 0));
}

std::uint8_t connect_flags(const Connect& connect) {
  std::uint8_t flags = connect.clean_start ? 0x02 : 0;
  if (connect.will) {
    flags |= static_cast<std::uint8_t>(0x04 | connect.will->qos << 3);
    if (connect.will->retain) flags |= 0x20;
  }
  if (connect.user) flags |= 0x80;
  if (connect.password) flags |= 0x40;
  return flags;
}

std::byte* put_varint(std::byte* at, std::size_t value) {
  for (; value >= 0x80; value >>= 7) *at++ = static_cast<std::byte>(value | 0x80);
  *at++ = static_cast<std::byte>(value);
  return at;
}

std::byte* put(std::byte* at, Bytes bytes) {
  if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
  return at + bytes.size();
}

}  // namespace

void encode_connect(Buffer& out, const Connect& connect) {
  write_packet(out, PacketType::connect, 0, [&](Writer& writer) {
    write_sized(writer, as_bytes(connect.version == Version::v3_1 ? "MQIsdp" : "MQTT"));
    writer.write<std::uint8_t>(
        static_cast<std::uint8_t>(static_cast<int>(connect.version) | (connect.bridge ? 0x80 : 0)));
    writer.write<std::uint8_t>(connect_flags(connect));
    writer.write<std::uint16_t>(connect.keep_alive_s);
    write_properties(writer, connect.version, connect.properties);
    write_sized(writer, as_bytes(connect.client_id));
    if (connect.will) {
      write_properties(writer, connect.version, connect.will->properties);
      write_sized(writer, as_bytes(connect.will->topic));
      write_sized(writer, connect.will->payload);
    }
    if (connect.user) write_sized(writer, as_bytes(*connect.user));
    if (connect.password) write_sized(writer, *connect.password);
  });
}

void encode_connack(Buffer& out, Version version, const Connack& connack) {
  write_packet(out, PacketType::connack, 0, [&](Writer& writer) {
    writer.write<std::uint8_t>(connack.session_present ? 1 : 0);
    writer.write<std::uint8_t>(connack.code);
    write_properties(writer, version, connack.properties);
  });
}

void encode_ack(Buffer& out, Version version, PacketType type, const Ack& ack) {
  const std::uint8_t first = first_byte(type, type == PacketType::pubrel ? 2 : 0);
  const bool short_form = version != Version::v5 || (ack.code == 0 && ack.properties.bytes.empty());
  if (short_form) {
    const std::size_t at = out.size();
    out.resize(at + 4);
    store_be<std::uint16_t>(out.data() + at, static_cast<std::uint16_t>(first << 8 | 2));
    store_be<std::uint16_t>(out.data() + at + 2, ack.packet_id);
    return;
  }
  write_packet(out, type, first & 15, [&](Writer& writer) {
    writer.write<std::uint16_t>(ack.packet_id);
    writer.write<std::uint8_t>(ack.code);
    if (!ack.properties.bytes.empty()) write_properties(writer, version, ack.properties);
  });
}

void encode_suback(Buffer& out, Version version, const SubscribeAck& ack) {
  write_packet(out, PacketType::suback, 0, [&](Writer& writer) {
    writer.write<std::uint16_t>(ack.packet_id);
    write_properties(writer, version, ack.properties);
    writer.write_bytes(ack.codes);
  });
}

void encode_unsuback(Buffer& out, Version version, const SubscribeAck& ack) {
  write_packet(out, PacketType::unsuback, 0, [&](Writer& writer) {
    writer.write<std::uint16_t>(ack.packet_id);
    write_properties(writer, version, ack.properties);
    if (version == Version::v5) writer.write_bytes(ack.codes);
  });
}

namespace {

void encode_code(Buffer& out, PacketType type, Version version, const Disconnect& packet) {
  write_packet(out, type, 0, [&](Writer& writer) {
    const bool has_properties = !packet.properties.bytes.empty();
    if (version != Version::v5 || (packet.code == 0 && !has_properties)) return;
    writer.write<std::uint8_t>(packet.code);
    if (has_properties) write_properties(writer, version, packet.properties);
  });
}

}  // namespace

void encode_disconnect(Buffer& out, Version version, const Disconnect& disconnect) {
  encode_code(out, PacketType::disconnect, version, disconnect);
}

void encode_auth(Buffer& out, Version version, const Auth& auth) {
  encode_code(out, PacketType::auth, version, auth);
}

void encode_pingreq(Buffer& out) {
  write_packet(out, PacketType::pingreq, 0, [](Writer&) {});
}

void encode_pingresp(Buffer& out) {
  write_packet(out, PacketType::pingresp, 0, [](Writer&) {});
}

void encode_subscribe(Buffer& out, Version version, const Subscribe& subscribe) {
  write_packet(out, PacketType::subscribe, 2, [&](Writer& writer) {
    writer.write<std::uint16_t>(subscribe.packet_id);
    write_properties(writer, version, subscribe.properties);
    writer.write_bytes(subscribe.filters);
  });
}

void encode_unsubscribe(Buffer& out, Version version, const Unsubscribe& unsubscribe) {
  write_packet(out, PacketType::unsubscribe, 2, [&](Writer& writer) {
    writer.write<std::uint16_t>(unsubscribe.packet_id);
    write_properties(writer, version, unsubscribe.properties);
    writer.write_bytes(unsubscribe.filters);
  });
}

void append_subscription(Buffer& filters, const Subscription& subscription) {
  append_filter(filters, subscription.filter);
  const int options = subscription.qos | (subscription.no_local ? 4 : 0) |
                      (subscription.retain_as_published ? 8 : 0) |
                      subscription.retain_handling << 4;
  Writer(filters).write<std::uint8_t>(static_cast<std::uint8_t>(options));
}

void append_filter(Buffer& filters, std::string_view filter) {
  Writer writer(filters);
  write_sized(writer, as_bytes(filter));
}

PublishSize measure_publish(Version version, const OutgoingPublish& publish) {
  PublishSize size;
  size.body = 2 + publish.topic_prefix.size() + publish.topic.size() + publish.payload.size();
  if (publish.qos > 0) size.body += 2;
  if (version == Version::v5) {
    size.properties = publish.properties.bytes.size();
    if (publish.topic_alias != 0) size.properties += topic_alias_size;
    for (const std::uint32_t id : publish.subscription_ids)
      size.properties += 1 + variable_integer_size(id);
    size.body += variable_integer_size(size.properties) + size.properties;
  }
  size.total = 1 + variable_integer_size(size.body) + size.body;
  return size;
}

void encode_publish(Buffer& out, Version version, const OutgoingPublish& publish,
                    const PublishSize& size) {
  const std::size_t start = out.size();
  out.resize(start + size.total);
  std::byte* at = out.data() + start;
  const int flags = (publish.dup ? 8 : 0) | publish.qos << 1 | (publish.retain ? 1 : 0);
  *at++ = static_cast<std::byte>(first_byte(PacketType::publish, static_cast<std::uint8_t>(flags)));
  at = put_varint(at, size.body);
  store_be<std::uint16_t>(
      at, static_cast<std::uint16_t>(publish.topic_prefix.size() + publish.topic.size()));
  at = put(at + 2, as_bytes(publish.topic_prefix));
  at = put(at, as_bytes(publish.topic));
  if (publish.qos > 0) {
    store_be<std::uint16_t>(at, publish.packet_id);
    at += 2;
  }
  if (version == Version::v5) {
    at = put_varint(at, size.properties);
    if (publish.topic_alias != 0) {
      *at++ = static_cast<std::byte>(PropertyId::topic_alias);
      store_be<std::uint16_t>(at, publish.topic_alias);
      at += 2;
    }
    for (const std::uint32_t id : publish.subscription_ids) {
      *at++ = static_cast<std::byte>(PropertyId::subscription_id);
      at = put_varint(at, id);
    }
    at = put(at, publish.properties.bytes);
  }
  at = put(at, publish.payload);
  SLUICE_ASSERT(at == out.data() + out.size());
}

}  // namespace sluice::mqtt
