#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/transport.h"
#include "server/config.h"

namespace sluice::server {

enum class Face : std::uint8_t { admin, kafka, mqtt };

// One listener of a hub, on all shards or, for the admin port, on the first.
struct ListenerPlan {
  std::string name;     // in listeners.json
  std::string setting;  // what to change when its place is taken
  Face face;
  net::Transport transport;
  std::string address_setting;
  std::string address;
  std::uint16_t port;                               // 0 for a Unix socket
  const Config::MqttListener* own_table = nullptr;  // not null: it stands in [mqtt.listener.NAME]
};

// Those that are on. They point into `config`.
std::vector<ListenerPlan> planned_listeners(const Config& config);

}  // namespace sluice::server
