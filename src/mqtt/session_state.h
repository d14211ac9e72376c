#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

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
  std::string trouble{};           // of the first filter that is refused; empty: of none
  std::vector<bool> took_place{};  // the filter was not there before: see Session::take_place
};

// What a SUBSCRIBE says of all its filters.
struct Session::SubscribeProperties {
  explicit SubscribeProperties(PropertyBlock properties);

  std::uint32_t id = 0;                // subscription identifier; 0: none
  std::string_view start{"earliest"};  // of replays
  std::uint32_t starts = 0;            // how often it is given
};

}  // namespace sluice::mqtt
