#include <fmt/format.h>

#include <cstdio>
#include <iostream>
#include <limits>

#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/mqtt_client.h"
#include "cli/output.h"

namespace sluice::cli {
namespace {

constexpr std::uint16_t mqtt_port = 1883;
constexpr int poll_ms = 100;  // how long an interrupt may go unnoticed

Result<std::unique_ptr<MqttClient>> connect(const Arguments& arguments) {
  SLUICE_TRY_ASSIGN(const HostPort address, find_hub(arguments, "mqtt", mqtt_port));
  SLUICE_TRY_ASSIGN(const Login login, login_of(arguments));
  return MqttClient::connect(address, login);
}

Result<int> qos_of(const Arguments& arguments, int otherwise) {
  SLUICE_TRY_ASSIGN(const auto qos, arguments.integer_or("qos", otherwise, 0, 2));
  return static_cast<int>(qos);
}

Result<void> publish(const Arguments& arguments) {
  SLUICE_TRY_ASSIGN(const Output output, output_of(arguments));
  SLUICE_TRY_ASSIGN(const int qos, qos_of(arguments, 1));
  SLUICE_TRY_ASSIGN(const UserProperties properties, arguments.assignments("property"));
  SLUICE_TRY_ASSIGN(const auto client, connect(arguments));
  const std::string& topic = arguments.positional[0];
  const bool retain = arguments.has("retain");

  std::uint64_t count = 0;
  if (const auto message = arguments.last("message")) {
    SLUICE_TRY(client->publish(topic, *message, qos, retain, properties));
    ++count;
  } else {
    for (std::string line; std::getline(std::cin, line); ++count)
      SLUICE_TRY(client->publish(topic, line, qos, retain, properties));
  }
  SLUICE_TRY(client->wait_until_published());
  print_line(
      output == Output::json
          ? JsonObject().add("topic", topic).add("qos", qos).add("published", count).str()
          : fmt::format("published {} message{} to '{}'", count, count == 1 ? "" : "s", topic));
  return {};
}

std::string to_text(const ReceivedMessage& message) {
  if (!is_valid_utf8(message.payload))
    return fmt::format("{}  <{} bytes>", message.topic, message.payload.size());
  return fmt::format("{}  {}", message.topic, message.payload);
}

std::string to_json_line(const ReceivedMessage& message) {
  std::vector<std::string> properties;
  for (const auto& [name, value] : message.properties)
    properties.push_back(JsonObject().add("name", name).add("value", value).str());
  return JsonObject()
      .add("topic", message.topic)
      .add_bytes("payload", message.payload)
      .add("qos", message.qos)
      .add("retain", message.retain)
      .add_raw("properties", json_array(properties))
      .str();
}

Result<void> subscribe(const Arguments& arguments) {
  constexpr std::int64_t unlimited = std::numeric_limits<std::int64_t>::max();
  SLUICE_TRY_ASSIGN(const Output output, output_of(arguments));
  SLUICE_TRY_ASSIGN(const int qos, qos_of(arguments, 0));
  SLUICE_TRY_ASSIGN(const auto wanted, arguments.integer_or("count", unlimited, 1, unlimited));
  SLUICE_TRY_ASSIGN(const auto client, connect(arguments));

  std::int64_t printed = 0;
  const Interrupt interrupt;
  SLUICE_TRY(client->subscribe(arguments.positional, qos, [&](const ReceivedMessage& message) {
    if (printed == wanted) return;  // more may come in one turn than was asked for
    print_line(output == Output::json ? to_json_line(message) : to_text(message));
    ++printed;
  }));
  fmt::print(stderr, "subscribed to {}\n", fmt::join(arguments.positional, ", "));
  while (printed < wanted && !interrupt.requested()) SLUICE_TRY(client->turn(poll_ms));
  return {};
}

}  // namespace

Command pub_command() {
  return {
      "pub",
      "TOPIC",
      1,
      1,
      "Publish messages with MQTT",
      "Without --message each line of the standard input is a message. Returns when the hub has "
      "acknowledged all.",
      with_login(
          {{"message", 'm', "TEXT", "The message"},
           {"qos", 'q', "QOS",
            "0; 1 (default), acknowledged once it is durable; or 2, exactly once"},
           {"retain", 'r', "", "The hub keeps it for later subscribers; an empty one clears it"},
           {"property", 0, "NAME=VALUE",
            "A user property (a header of the record); may be repeated"},
           address_flag("mqtt"),
           data_flag,
           output_flag}),
      publish};
}

Command sub_command() {
  return {"sub",
          "FILTER...",
          1,
          64,
          "Subscribe with MQTT and print what comes",
          "Each line is `topic  payload`. Says on the standard error when the subscription stands.",
          with_login({{"count", 'n', "N", "End after N messages"},
                      {"qos", 'q', "QOS", "0 (default), 1 or 2"},
                      address_flag("mqtt"),
                      data_flag,
                      output_flag}),
          subscribe};
}

}  // namespace sluice::cli
