#include "server/listener_plan.h"

namespace sluice::server {

std::vector<ListenerPlan> planned_listeners(const Config& config) {
  std::vector<ListenerPlan> plans;
  const auto add = [&](std::string_view name, std::string_view setting, const Port& port, Face face,
                       net::Transport transport, std::string_view address_setting,
                       const std::string& address) {
    if (port) plans.push_back({name, setting, face, transport, address_setting, address, *port});
  };
  const auto add_mqtt = [&](std::string_view name, std::string_view setting, const Port& port,
                            net::Transport transport) {
    add(name, setting, port, Face::mqtt, transport, "mqtt.address", config.mqtt.address);
  };
  using net::Transport;
  add("admin", "admin.port", config.admin.port, Face::admin, Transport::tcp, "admin.address",
      config.admin.address);
  // With a Kafka cluster behind it, the hub has no Kafka of its own.
  if (config.stream.backend == "embedded") {
    add("kafka", "kafka.port", config.kafka.port, Face::kafka, Transport::tcp, "kafka.address",
        config.kafka.address);
    add("kafkas", "kafka.tls_port", config.kafka.tls_port, Face::kafka, Transport::tls,
        "kafka.address", config.kafka.address);
  }
  add_mqtt("mqtt", "mqtt.port", config.mqtt.port, Transport::tcp);
  add_mqtt("mqtts", "mqtt.tls_port", config.mqtt.tls_port, Transport::tls);
  add_mqtt("ws", "mqtt.ws_port", config.mqtt.ws_port, Transport::websocket);
  add_mqtt("wss", "mqtt.wss_port", config.mqtt.wss_port, Transport::websocket_tls);
  return plans;
}

}  // namespace sluice::server
