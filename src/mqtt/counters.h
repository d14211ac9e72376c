#pragma once

#include <array>
#include <string_view>

#include "base/metrics.h"
#include "mqtt/packet.h"

namespace sluice::mqtt {

// What the front end counts, for one shard. Registered once; used by reference on the message path.
class Counters {
 public:
  explicit Counters(Metrics& metrics);

  Gauge& connections;
  std::array<Counter*, 2> connects;  // by version: 3.1.1, 5
  std::array<Counter*, 3> received;  // by QoS
  std::array<Counter*, 3> delivered;
  Counter& dropped_expired;
  Counter& dropped_refused;         // by the client, in PUBACK or PUBREC
  Counter& dropped_too_large;       // for the client's maximum packet size
  Counter& dropped_not_authorized;  // a publish that had no way to be refused
  Counter& dropped_topic;
  Counter& dropped_not_stored;
  Counter& dropped_will;
  Gauge& wills_waiting;

  // A connection that was ended, or a CONNECT refused, for this reason. Looked up by name: once per
  // connection.
  void count_refusal(Reason reason);

 private:
  Metrics& metrics_;
};

}  // namespace sluice::mqtt
