#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "access/sasl.h"
#include "mqtt/received_ids.h"
#include "mqtt/session.h"
#include "mqtt/topic_aliases.h"

namespace sluice::mqtt {

struct Session::Inbound {
  ReceivedIds qos2;
  ReceivedAliases aliases;
  RateUse rate;  // of the client, where there are rates
};

// Made by a CONNECT that names an authentication method.
struct Session::Authentication {
  std::string method;
  std::unique_ptr<access::SaslServer> exchange{};  // none: none is under way
  std::string last_token{};                        // for CONNACK
};

// A SUBSCRIBE of which not all filters have been answered. There is one at a time: no packet is
// read meanwhile.
struct Session::PendingSubscribe {
  std::uint16_t packet_id;
  std::uint32_t waiting;
  Buffer codes;
  const char* trouble = nullptr;  // of the first filter that is refused
};

}  // namespace sluice::mqtt
