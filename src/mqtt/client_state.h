#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/ids.h"
#include "hub/hub.h"
#include "mqtt/packet.h"
#include "net/transport.h"
#include "sessions/record.h"

namespace sluice::mqtt {

// What an administrator is told of a connected client.
struct ClientState {
  struct Will {
    std::string topic;
    std::uint8_t qos;
    bool retain;
    std::uint32_t delay_s;
  };

  std::string client_id{};
  std::string user{};
  Version version = Version::v5;
  std::string peer{};  // address and port, as is `listener`
  std::string listener{};
  net::Transport transport = net::Transport::tcp;
  WallMs connected_ms = 0;  // since when, to the second
  bool clean_start = true;
  std::uint16_t keep_alive_s = 0;  // 0: it may be silent for ever
  std::uint32_t packet_max = 0;    // that it takes; 0: no limit
  std::uint64_t published = 0;     // messages from it, those refused included
  std::uint32_t in_flight_from =
      0;                           // publishes at QoS 1 without PUBACK and at QoS 2 without PUBCOMP
  std::uint32_t in_flight_to = 0;  // the same towards it
  std::size_t bytes_waiting = 0;   // for it to read
  bool is_lagging = false;         // it takes no more at the moment
  sessions::Lost lost{};           // of a stored session in all its life, else of the connection
  std::uint32_t subscription_count = 0;
  std::optional<Will> will{};
  hub::SubscriberState subscriber{};  // not in lists
};

}  // namespace sluice::mqtt
