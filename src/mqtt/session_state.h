#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/sasl.h"
#include "mqtt/received_ids.h"
#include "mqtt/session.h"
#include "mqtt/topic_aliases.h"
#include "sessions/sessions.h"

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

// Of a session that outlives its connection, or whose client asks for that.
struct Session::Stored {
  sessions::Uid uid = 0;  // 0: not opened, or not stored
  std::uint32_t asked_expiry_s = 0;
  std::uint32_t expiry_s = 0;  // as granted, or as DISCONNECT said
  // Packets that may leave only when what they rely on is durable, and what was written behind
  // them. The first `covered` bytes wait for the save that is under way.
  Buffer held;
  std::size_t covered = 0;
  bool saving = false;
  bool unsaved = false;  // something has moved since it was saved last
  // Where it reads on, its replays apart, and which retained messages it has yet to get: until the
  // hub knows, and when it does no more.
  std::vector<Position> next;
  std::vector<sessions::ReplayPlace> replays;
  std::vector<sessions::RetainedRest> retained;
  // What was in flight when the connection before ended, to be sent again from `at` on.
  struct Again {
    std::vector<Outbound::InFlight> messages;
    std::size_t at = 0;
    std::uint32_t open = 0;  // sent again, and not complete
  };
  Again again;
  bool fetching = false;
  // Where the tails were when the client came back: at QoS 0 it missed what is older, but for
  // replays.
  std::vector<Position> live_from;
  sessions::Lost lost;
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

  std::uint32_t id = 0;                     // subscription identifier; 0: none
  std::optional<std::string_view> start{};  // of replays
  std::uint32_t starts = 0;                 // how often it is given
};

}  // namespace sluice::mqtt
