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
  std::string_view name;     // in listeners.json
  std::string_view setting;  // of its port
  Face face;
  net::Transport transport;
  std::string_view address_setting;
  std::string address;
  std::uint16_t port;
};

// Those that are on.
std::vector<ListenerPlan> planned_listeners(const Config& config);

}  // namespace sluice::server
