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
  [[nodiscard]] Counter& connects_of(Version version) {
    return *connects_[static_cast<std::size_t>(version) - static_cast<std::size_t>(Version::v3_1)];
  }
  std::array<Counter*, 3> received;  // by QoS
  std::array<Counter*, 3> delivered;
  Counter& dropped_expired;
  Counter& dropped_offline;
  Counter& dropped_retention;
  Counter& dropped_refused;         // by the client, in PUBACK or PUBREC
  Counter& dropped_too_large;       // for the client's maximum packet size
  Counter& dropped_not_authorized;  // a publish that had no way to be refused; one to be sent again
  Counter& dropped_topic;
  Counter& dropped_payload_format;  // is not what its indicator says
  Counter& dropped_not_stored;
  Counter& dropped_will;
  Counter& dropped_rate;
  Counter& throttled;
  Gauge& wills_waiting;
  Counter& packets_received;
  Counter& other_packets_sent;  // than PUBLISH, which `delivered` has
  Counter& bytes_received;      // without those of TLS and WebSocket
  Counter& bytes_sent;
  Counter& publish_bytes_received;  // of PUBLISH packets
  Counter& publish_bytes_sent;

  // A connection that was ended, or a CONNECT refused, for this reason. Looked up by name: once per
  // connection.
  void count_refusal(Reason reason);

 private:
  std::array<Counter*, 3> connects_;  // by version: 3.1, 3.1.1, 5
  Metrics& metrics_;
};

}  // namespace sluice::mqtt
