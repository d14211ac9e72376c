#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "mqtt/packet.h"
#include "sessions/record.h"

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

  // That an earlier process of the hub left; it is to be published `delay_s` from now.
  StoredWill(sessions::Will will, sessions::Uid uid, std::uint32_t wait_s)
      : topic(std::move(will.topic)),
        payload(std::move(will.payload)),
        properties(std::move(will.properties)),
        session(uid),
        stored_session(uid),
        delay_s(wait_s),
        session_expiry_s(wait_s),
        qos(will.qos),
        retain(will.retain) {}

  // Seconds from the end of the connection until it is published: the delay, but for a session that
  // ends before.
  [[nodiscard]] std::uint32_t wait_s() const { return std::min(delay_s, session_expiry_s); }
  [[nodiscard]] std::uint64_t publisher() const {
    return stored_session != 0 ? stored_session : session;
  }
  [[nodiscard]] std::size_t size() const {
    return sizeof(*this) + topic.size() + payload.size() + properties.size();
  }

  std::string topic;
  Buffer payload;
  Buffer properties;
  std::uint64_t session;               // the connection's, which claims the client id
  sessions::Uid stored_session = 0;    // of whose rows it is one; 0: none
  std::uint32_t delay_s = 0;           // Will Delay Interval, cut to limits.will_delay_max_s
  std::uint32_t session_expiry_s = 0;  // as the client asked for it last
  std::uint8_t qos;
  bool retain;
};

}  // namespace sluice::mqtt
