#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "hub/lag_limits.h"
#include "mqtt/rates.h"

namespace sluice::mqtt {

// What becomes of a publish beyond a rate.
enum class RateAction : std::uint8_t {
  throttle,    // it waits, and its client is not read from
  drop,        // it is dropped, or refused in MQTT 5; in 3.1.1 at QoS 1 and 2 it waits
  disconnect,  // its client is
};

// What the clients of one listener may do, and are offered; docs/reference/mqtt.md says what
// happens beyond.
struct Limits {
  std::size_t packet_max = 16 << 20;  // bytes of one packet from a client; announced
  // Publishes of one client at QoS 1 without PUBACK and at QoS 2 without PUBCOMP; announced.
  std::uint16_t receive_maximum = 1024;
  std::uint16_t max_inflight = 1024;  // to a client of MQTT 3.1.1, or one of 5 that allows more
  std::uint16_t topic_alias_max =
      16;  // of a client, announced; and used towards one that allows it
  std::uint32_t will_delay_max_s = 86'400;  // a longer will delay is cut to this
  // Longer session expiry intervals, and sessions of MQTT 3.1.1, are cut to this; 0: no session
  // outlives its connection.
  std::uint32_t session_expiry_max_s = 0;
  bool offline_qos0 = false;  // messages that come while the client is away are kept at QoS 0, too
  std::uint32_t delay_max_s = 4'320'000;  // of "$delayed/<seconds>/..."; 0: there is none
  std::uint16_t keep_alive_max_s =
      0;  // a longer one, or none, is cut to this (MQTT 5 only); 0: no maximum
  std::chrono::seconds connect_timeout{
      10};  // for the CONNECT packet after the connection was accepted
  std::size_t connect_packet_max = 64 << 10;  // bytes of a CONNECT packet
  std::size_t client_id_max = 1024;           // bytes
  std::uint32_t filters_max = 1024;           // in one SUBSCRIBE or UNSUBSCRIBE
  std::uint16_t subscriptions_max = 10'000;   // filters of one connection
  std::uint32_t filter_levels_max = 128;      // of one filter
  std::size_t output_max = 256 << 10;         // bytes waiting for a slow client; then it lags
  hub::LagLimits lag{};                       // how far behind it may then be
  Rates client_rates{};                       // of each client
  RateAction rate_action = RateAction::throttle;
  bool check_payload_format = false;  // a payload said to be UTF-8 must be
  // For clients that ask for Response Information; %c: client id, %u: user. Empty: none.
  std::string response_information{};
  std::string server_reference{};  // of who stops: other servers for its clients; empty: none
};

// What must be durable before a packet leaves (docs/decisions/0015), left out: so that tests can
// show that they notice.
struct Omissions {
  bool evidence = false;  // of a publish from the client
  bool publish = false;   // that a message was sent
  bool pubrel = false;    // that it was released
  bool pubcomp = false;   // that a publish from the client is complete
};

struct Options {
  Limits limits{};                               // of listeners that have none of their own
  std::size_t wills_waiting_max = 100'000;       // of a shard; with more, a will does not wait
  std::size_t wills_bytes_max = 64 << 20;        // the same
  std::vector<std::string> websocket_origins{};  // of web pages, as net::AllowedOrigins says
  Omissions omit{};
  std::uint64_t seed = 0;  // of session ids and assigned client ids; 0: from the operating system
};

}  // namespace sluice::mqtt
