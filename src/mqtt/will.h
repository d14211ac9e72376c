#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "mqtt/packet.h"

namespace sluice::mqtt {

// What CONNECT said of the will, copied: it outlives the packet, and with a delay the connection.
struct StoredWill {
  StoredWill(const Will& will, std::uint64_t session_id)
      : topic(will.topic),
        payload(will.payload.begin(), will.payload.end()),
        properties(will.properties.bytes.begin(), will.properties.bytes.end()),
        session(session_id),
        qos(will.qos),
        retain(will.retain) {}

  // Seconds from the end of the connection until it is published: the delay, but for a session that
  // ends before.
  [[nodiscard]] std::uint32_t wait_s() const { return std::min(delay_s, session_expiry_s); }
  [[nodiscard]] std::size_t size() const {
    return sizeof(*this) + topic.size() + payload.size() + properties.size();
  }

  std::string topic;
  Buffer payload;
  Buffer properties;
  std::uint64_t session;               // its publisher
  std::uint32_t delay_s = 0;           // Will Delay Interval, cut to limits.will_delay_max_s
  std::uint32_t session_expiry_s = 0;  // as the client asked for it last
  std::uint8_t qos;
  bool retain;
};

}  // namespace sluice::mqtt
