#include "server/listener_plan.h"

#include <fmt/format.h>

namespace sluice::server {
namespace {

using net::Transport;

Transport transport_of(std::string_view name) {
  if (name == "tls") return Transport::tls;
  if (name == "ws") return Transport::websocket;
  if (name == "wss") return Transport::websocket_tls;
  return Transport::tcp;
}

ListenerPlan plan_of(const std::string& name, const Config::MqttListener& listener) {
  const std::string section = fmt::format("mqtt.listener.{}", name);
  return {.name = name,
          .setting = fmt::format("{}.{}", section, listener.port ? "port" : "address"),
          .face = Face::mqtt,
          .transport = transport_of(listener.transport),
          .address_setting = section + ".address",
          .address = listener.address,
          .port = listener.port.value_or(0),
          .own_table = &listener};
}

}  // namespace

std::vector<ListenerPlan> planned_listeners(const Config& config) {
  std::vector<ListenerPlan> plans;
  const auto add = [&](const char* name, const char* setting, const Port& port, Face face,
                       Transport transport, const char* address_setting,
                       const std::string& address) {
    if (port) plans.push_back({name, setting, face, transport, address_setting, address, *port});
  };
  const auto add_mqtt = [&](const char* name, const char* setting, const Port& port,
                            Transport transport) {
    add(name, setting, port, Face::mqtt, transport, "mqtt.address", config.mqtt.address);
  };
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
  for (const auto& [name, listener] : config.mqtt.listeners)
    plans.push_back(plan_of(name, listener));
  return plans;
}

}  // namespace sluice::server
