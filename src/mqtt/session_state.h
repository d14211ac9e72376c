#pragma once

#include <cstdint>
#include <string>

#include "mqtt/session.h"

namespace sluice::mqtt {

// What CONNECT said of the will, copied: it outlives the packet.
struct Session::StoredWill {
  explicit StoredWill(const Will& will)
      : topic(will.topic),
        payload(will.payload.begin(), will.payload.end()),
        properties(will.properties.bytes.begin(), will.properties.bytes.end()),
        qos(will.qos),
        retain(will.retain) {}

  std::string topic;
  Buffer payload;
  Buffer properties;
  std::uint8_t qos;
  bool retain;
};

// A SUBSCRIBE of which not all filters have been answered. There is one at a time: no packet is
// read meanwhile.
struct Session::PendingSubscribe {
  std::uint16_t packet_id;
  std::uint32_t waiting;
  Buffer codes;
};

}  // namespace sluice::mqtt
