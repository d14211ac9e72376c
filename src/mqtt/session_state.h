#pragma once

#include <cstdint>

#include "mqtt/received_ids.h"
#include "mqtt/session.h"
#include "mqtt/topic_aliases.h"

namespace sluice::mqtt {

// The reason code for what the hub could not do.
Reason reason_of(const Error& error);

struct Session::Inbound {
  ReceivedIds qos2;
  ReceivedAliases aliases;
};

// A SUBSCRIBE of which not all filters have been answered. There is one at a time: no packet is
// read meanwhile.
struct Session::PendingSubscribe {
  std::uint16_t packet_id;
  std::uint32_t waiting;
  Buffer codes;
};

}  // namespace sluice::mqtt
