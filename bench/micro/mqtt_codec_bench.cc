#include <string>

#include "base/assert.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "suite.h"

namespace sluice::micro {
namespace {

constexpr std::size_t packet_size_max = 16 << 20;

const std::string payload(100, 'p');

mqtt::OutgoingPublish publish_at(std::uint8_t qos) {
  return {.topic = "site/plant-7/line-3/machine-42/temperature",
          .payload = as_bytes(payload),
          .packet_id = static_cast<std::uint16_t>(qos > 0 ? 77 : 0),
          .qos = qos};
}

void append_publish(Buffer& out, const mqtt::OutgoingPublish& publish) {
  mqtt::encode_publish(out, mqtt::Version::v5, publish,
                       mqtt::measure_publish(mqtt::Version::v5, publish));
}

mqtt::Frame cut_frame(Bytes in) {
  auto cut = mqtt::decode_frame(in, packet_size_max);
  SLUICE_ASSERT(cut && std::holds_alternative<mqtt::Frame>(*cut));
  return std::get<mqtt::Frame>(*cut);
}

void decode_publish(Measure& measure, std::uint8_t qos) {
  Buffer bytes;
  append_publish(bytes, publish_at(qos));
  measure.run(1, [&] {
    benchmark::DoNotOptimize(bytes.data());
    auto publish = mqtt::decode_publish(cut_frame(bytes), mqtt::Version::v5);
    SLUICE_ASSERT(publish);
    benchmark::DoNotOptimize(publish);
  });
}

void encode_publish(Measure& measure, std::uint8_t qos) {
  Buffer out;
  const auto publish = publish_at(qos);
  measure.run(1, [&] {
    out.clear();
    append_publish(out, publish);
    benchmark::DoNotOptimize(out.data());
  });
}

// A packet of eight filters, and its acknowledgement.
void answer_subscribe(Measure& measure) {
  constexpr std::size_t filters_count = 8;
  Buffer filters;
  for (std::size_t i = 0; i < filters_count; ++i) {
    mqtt::append_subscription(
        filters, {.filter = "site/plant-" + std::to_string(i) + "/+/temperature", .qos = 1});
  }
  Buffer bytes;
  mqtt::encode_subscribe(bytes, mqtt::Version::v5, {.packet_id = 5, .filters = filters});
  const Buffer codes(filters_count, std::byte{1});
  Buffer out;
  measure.run(1, [&] {
    benchmark::DoNotOptimize(bytes.data());
    const auto packet = mqtt::decode_subscribe(cut_frame(bytes).body, mqtt::Version::v5);
    SLUICE_ASSERT(packet && packet->count == filters_count);
    mqtt::for_each_subscription(
        *packet, [](const mqtt::Subscription& one) { benchmark::DoNotOptimize(one); });
    out.clear();
    mqtt::encode_suback(out, mqtt::Version::v5, {.packet_id = packet->packet_id, .codes = codes});
    benchmark::DoNotOptimize(out.data());
  });
}

}  // namespace

void add_mqtt_codec(Suite& suite) {
  suite.add("mqtt: decode PUBLISH QoS 0", [](Measure& m) { decode_publish(m, 0); });
  suite.add("mqtt: decode PUBLISH QoS 1", [](Measure& m) { decode_publish(m, 1); });
  suite.add("mqtt: encode PUBLISH QoS 0", [](Measure& m) { encode_publish(m, 0); });
  suite.add("mqtt: encode PUBLISH QoS 1", [](Measure& m) { encode_publish(m, 1); });
  suite.add("mqtt: SUBSCRIBE of 8 filters, SUBACK", answer_subscribe);
}

}  // namespace sluice::micro
