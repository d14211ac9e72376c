#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "mqtt/packet.h"

namespace sluice::mqtt {

// From packets to bytes, appended to `out`. The caller has checked what the types don't: texts of
// at most 65,535 bytes of UTF-8, properties that are allowed in the packet (property.h), a whole of
// at most 268,435,460 bytes. Properties are ignored in MQTT 3.1.1, as are reason codes where it has
// none.

void encode_connect(Buffer& out, const Connect& connect);
void encode_connack(Buffer& out, Version version, const Connack& connack);
void encode_ack(Buffer& out, Version version, PacketType type, const Ack& ack);
void encode_suback(Buffer& out, Version version, const SubscribeAck& ack);
void encode_unsuback(Buffer& out, Version version, const SubscribeAck& ack);
void encode_disconnect(Buffer& out, Version version, const Disconnect& disconnect);
void encode_auth(Buffer& out, Version version, const Auth& auth);
void encode_pingreq(Buffer& out);
void encode_pingresp(Buffer& out);

// `filters` as in Subscribe; see append_subscription and append_filter.
void encode_subscribe(Buffer& out, Version version, const Subscribe& subscribe);
void encode_unsubscribe(Buffer& out, Version version, const Unsubscribe& unsubscribe);
void append_subscription(Buffer& filters, const Subscription& subscription);
void append_filter(Buffer& filters, std::string_view filter);

// A PUBLISH to be written: its topic may come in two pieces, its properties beside the topic alias
// and the subscription identifiers.
struct OutgoingPublish {
  std::string_view topic_prefix{};
  std::string_view topic;
  Bytes payload{};
  std::uint16_t packet_id = 0;
  std::uint8_t qos = 0;
  bool retain = false;
  bool dup = false;
  std::uint16_t topic_alias = 0;  // 0: none
  PropertyBlock properties{};
  std::span<const std::uint32_t> subscription_ids{};
};

// The layout of an OutgoingPublish, known before it is written: whoever has a limit compares
// `total` to it.
struct PublishSize {
  std::size_t properties = 0;
  std::size_t body = 0;
  std::size_t total = 0;
};
PublishSize measure_publish(Version version, const OutgoingPublish& publish);
void encode_publish(Buffer& out, Version version, const OutgoingPublish& publish,
                    const PublishSize& size);

}  // namespace sluice::mqtt
