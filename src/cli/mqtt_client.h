#pragma once

#include <mosquitto.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "cli/listeners.h"
#include "cli/login.h"

namespace sluice::cli {

using UserProperties = std::vector<std::pair<std::string, std::string>>;

struct ReceivedMessage {
  std::string topic;
  std::string payload;
  int qos = 0;
  bool retain = false;
  UserProperties properties;  // user properties only
};

// An MQTT 5 connection by libmosquitto, driven by the caller's thread: calls block until the hub
// has answered.
class MqttClient {
 public:
  static Result<std::unique_ptr<MqttClient>> connect(const HostPort& address,
                                                     const Login& login = {});
  ~MqttClient();
  MqttClient(const MqttClient&) = delete;
  MqttClient& operator=(const MqttClient&) = delete;

  // Returns when the message was taken over; the hub's answer may be open for up to `window`
  // messages.
  Result<void> publish(const std::string& topic, std::string_view payload, int qos, bool retain,
                       const UserProperties& properties);
  Result<void> wait_until_published();

  // `on_message` is called by turn() from then on.
  Result<void> subscribe(std::span<const std::string> filters, int qos,
                         std::move_only_function<void(const ReceivedMessage&)> on_message);
  // Sends and receives, waiting at most `timeout_ms` for something to do.
  Result<void> turn(int timeout_ms);

 private:
  static constexpr std::size_t window = 100;

  MqttClient();
  void set_callbacks();
  Result<void> set_login(const Login& login);
  void on_subscribed(std::span<const int> granted);
  void on_published(int id, int reason);

  mosquitto* client_;
  std::optional<int> connect_reason_;
  std::vector<std::string> subscribing_;  // filters whose answer is open
  bool subscribed_ = false;
  std::set<int> unpublished_;  // packet ids
  std::optional<Error> refused_;
  std::move_only_function<void(const ReceivedMessage&)> on_message_;
};

}  // namespace sluice::cli
