#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "base/random.h"
#include "base/task.h"
#include "runtime/loop.h"

namespace sluice::sim {

using runtime::Duration;
using runtime::TimePoint;

// The virtual clock, the seed's randomness and what happens outside all loops: bytes that arrive,
// jobs of workers. Events of one moment happen in the order in which they were planned.
class Events {
 public:
  explicit Events(std::uint64_t seed) : random_(seed) {}

  [[nodiscard]] TimePoint now() const { return now_; }
  Random& random() { return random_; }
  Duration random_delay(Duration max) {
    return Duration(
        static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(max.count()) + 1)));
  }

  void plan(Duration delay, Task event) { events_.emplace(now_ + delay, std::move(event)); }
  [[nodiscard]] std::optional<TimePoint> next() const {
    if (events_.empty()) return std::nullopt;
    return events_.begin()->first;
  }
  [[nodiscard]] bool due() const { return !events_.empty() && events_.begin()->first <= now_; }
  void run_one() {
    auto event = events_.extract(events_.begin());
    event.mapped()();
  }
  void advance_to(TimePoint time) {
    if (time > now_) now_ = time;
  }

 private:
  Random random_;
  TimePoint now_{std::chrono::hours(1)};
  std::multimap<TimePoint, Task> events_;
};

}  // namespace sluice::sim
