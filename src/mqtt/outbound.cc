#include "mqtt/outbound.h"

#include <algorithm>

#include "mqtt/property.h"

namespace sluice::mqtt {

namespace {

// The lower of what was granted and what the publisher used. A record that no MQTT publisher made
// has no QoS of its own and goes at the grant's.
std::uint8_t qos_of(const hub::Grant& grant, const log::Record& record) {
  std::uint8_t qos = grant.qos;
  if ((record.flags & log::Record::has_packed) != 0)
    qos = std::min(qos, static_cast<std::uint8_t>(record.flags & log::Record::qos_mask));
  return std::min<std::uint8_t>(qos, 1);
}

void encode_message_properties(const hub::Properties& properties, Buffer& out) {
  PropertyWriter writer(out);
  if (properties.payload_is_utf8)
    writer.number(PropertyId::payload_format, *properties.payload_is_utf8 ? 1 : 0);
  if (properties.content_type) writer.text(PropertyId::content_type, *properties.content_type);
  if (properties.response_topic)
    writer.text(PropertyId::response_topic, *properties.response_topic);
  if (properties.correlation_data)
    writer.data(PropertyId::correlation_data, *properties.correlation_data);
  for (const auto& [name, value] : properties.user) writer.user(name, value);
}

}  // namespace

void Outbound::configure(Version version, std::uint16_t receive_maximum, std::uint32_t packet_max) {
  version_ = version;
  window_.set_limit(receive_maximum);
  packet_max_ = packet_max;
}

std::size_t Outbound::deliver(std::string_view prefix, const log::Block& block,
                              std::span<const hub::Delivery> deliveries, std::size_t out_max,
                              Buffer& out, DeliveryContext& context) {
  for (std::size_t i = 0; i < deliveries.size(); ++i) {
    if (out.size() >= out_max) return i;
    const auto& [index, grant] = deliveries[i];
    const log::Record& record = block.records()[index];
    OutgoingPublish publish{
        .topic_prefix = prefix,
        .topic = as_text(block.key(record)),
        .payload = block.value(record),
        .qos = qos_of(*grant, record),
        .retain = grant->retain_as_published && (record.flags & log::Record::retain) != 0,
        .properties = {},
        .subscription_ids = grant->ids,
    };
    if ((record.flags & log::Record::has_properties) != 0 &&
        !add_properties(publish, block, record, context)) {
      context.counters.dropped_expired.add();
      continue;
    }
    if (deliver_one(publish, out, context) == Outcome::full) return i;
  }
  return deliveries.size();
}

Outbound::Outcome Outbound::deliver_one(OutgoingPublish& publish, Buffer& out,
                                        DeliveryContext& context) {
  const PublishSize size = measure_publish(version_, publish);
  if (packet_max_ != 0 && size.total > packet_max_) {
    context.counters.dropped_too_large.add();
    return Outcome::dropped;
  }
  if (publish.qos > 0) {
    if (window_.full()) return Outcome::full;
    publish.packet_id = window_.take();
  }
  encode_publish(out, version_, publish, size);
  context.counters.delivered[publish.qos]->add();
  return Outcome::written;
}

bool Outbound::add_properties(OutgoingPublish& publish, const log::Block& block,
                              const log::Record& record, DeliveryContext& context) const {
  const auto decoded = hub::decode_headers(block, record, context.properties);
  context.encoded.clear();
  if (decoded.packed && decoded.packed->expiry_s) {
    const std::int64_t expires =
        block.timestamp(record) + std::int64_t{*decoded.packed->expiry_s} * 1000;
    if (expires <= context.now) return false;
    const std::int64_t rest_s =
        std::min<std::int64_t>((expires - context.now + 999) / 1000, *decoded.packed->expiry_s);
    PropertyWriter(context.encoded)
        .number(PropertyId::message_expiry, static_cast<std::uint32_t>(rest_s));
  }
  encode_message_properties(context.properties, context.encoded);
  publish.properties = {context.encoded};
  return true;
}

}  // namespace sluice::mqtt
