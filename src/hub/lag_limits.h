#pragma once

#include <chrono>
#include <cstdint>

namespace sluice::hub {

// How far a subscriber may be behind the end of a partition. 0: as far as it likes.
struct LagLimit {
  std::uint64_t bytes = 0;           // of the log, as it stores them
  std::chrono::milliseconds age{0};  // of a record, by its timestamp

  [[nodiscard]] bool is_set() const { return bytes > 0 || age.count() > 0; }
  friend bool operator==(const LagLimit&, const LagLimit&) = default;
};

// Whoever is further behind when it reads on is moved on, and told (SubscriberSink::on_lost).
struct LagLimits {
  LagLimit any{};   // to the oldest record within the limit
  LagLimit qos0{};  // if set, of those whose filters are all of QoS 0, in its place: to the end

  [[nodiscard]] bool is_set() const { return any.is_set() || qos0.is_set(); }
};

}  // namespace sluice::hub
