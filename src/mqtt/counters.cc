#include "mqtt/counters.h"

#include <fmt/format.h>

namespace sluice::mqtt {

namespace {

constexpr std::string_view received_help = "Messages received from publishers";
constexpr std::string_view delivered_help = "Messages written to subscribers";

Counter& dropped(Metrics& metrics, std::string_view reason) {
  return metrics.counter("sluice_messages_dropped_total",
                         "Messages that were not stored or not delivered",
                         fmt::format("protocol=\"mqtt\",reason=\"{}\"", reason));
}

Counter& connects_by(Metrics& metrics, Version version) {
  return metrics.counter("sluice_connects_total", "Connections accepted by their protocol",
                         fmt::format("protocol=\"mqtt\",version=\"{}\"", to_string(version)));
}

std::array<Counter*, 3> by_qos(Metrics& metrics, std::string_view name, std::string_view help) {
  return {&metrics.counter(name, help, "protocol=\"mqtt\",qos=\"0\""),
          &metrics.counter(name, help, "protocol=\"mqtt\",qos=\"1\""),
          &metrics.counter(name, help, "protocol=\"mqtt\",qos=\"2\"")};
}

}  // namespace

Counters::Counters(Metrics& metrics)
    : connections(metrics.gauge("sluice_connections", "Open connections", "protocol=\"mqtt\"")),
      received(by_qos(metrics, "sluice_messages_received_total", received_help)),
      delivered(by_qos(metrics, "sluice_messages_delivered_total", delivered_help)),
      dropped_expired(dropped(metrics, "expired")),
      dropped_offline(dropped(metrics, "qos0_offline")),
      dropped_retention(dropped(metrics, "retention")),
      dropped_refused(dropped(metrics, "refused_by_client")),
      dropped_too_large(dropped(metrics, "packet_too_large")),
      dropped_not_authorized(dropped(metrics, "not_authorized")),
      dropped_topic(dropped(metrics, "topic_not_allowed")),
      dropped_payload_format(dropped(metrics, "payload_format")),
      dropped_not_stored(dropped(metrics, "not_stored")),
      dropped_will(dropped(metrics, "will_not_stored")),
      dropped_rate(dropped(metrics, "rate")),
      throttled(metrics.counter("sluice_mqtt_throttled_total",
                                "Times that a client was not read from because of a rate")),
      wills_waiting(metrics.gauge("sluice_mqtt_wills_waiting",
                                  "Wills of clients that are gone, whose delay is not over")),
      packets_received(metrics.counter("sluice_mqtt_packets_received_total", "MQTT packets read")),
      other_packets_sent(metrics.counter("sluice_mqtt_other_packets_sent_total",
                                         "MQTT packets written, without PUBLISH")),
      bytes_received(metrics.counter("sluice_mqtt_received_bytes_total", "Bytes of MQTT read")),
      bytes_sent(metrics.counter("sluice_mqtt_sent_bytes_total", "Bytes of MQTT written")),
      publish_bytes_received(metrics.counter("sluice_mqtt_publish_received_bytes_total",
                                             "Bytes of PUBLISH packets read")),
      publish_bytes_sent(metrics.counter("sluice_mqtt_publish_sent_bytes_total",
                                         "Bytes of PUBLISH packets written")),
      connects_{&connects_by(metrics, Version::v3_1), &connects_by(metrics, Version::v3_1_1),
                &connects_by(metrics, Version::v5)},
      metrics_(metrics) {}

void Counters::count_refusal(Reason reason) {
  metrics_
      .counter("sluice_mqtt_refusals_total", "MQTT connections ended by the server, by reason",
               fmt::format("reason=\"{}\"", to_string(reason)))
      .add();
}

}  // namespace sluice::mqtt
