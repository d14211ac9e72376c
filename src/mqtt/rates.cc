#include "mqtt/rates.h"

#include <algorithm>

namespace sluice::mqtt {

namespace {

using runtime::Duration;
using runtime::TimePoint;

constexpr std::uint64_t ns_per_s = 1'000'000'000;

// How long `count` tokens take to flow in; nothing where there is no limit.
Duration time_of(std::uint64_t count, std::uint64_t per_second) {
  if (per_second == 0) return Duration::zero();
  // Not all in one product: counts go up to a read's worth of the largest packets.
  const std::uint64_t seconds = count / per_second;
  const std::uint64_t rest = count % per_second;
  return std::chrono::seconds(seconds) + Duration(rest * ns_per_s / per_second);
}

TimePoint full_after(TimePoint full, TimePoint now, Duration taken) {
  return std::max(full, now) + taken;
}

void raise(std::atomic<TimePoint>& full, TimePoint now, Duration taken) {
  if (taken == Duration::zero()) return;
  TimePoint seen = full.load(std::memory_order_relaxed);
  while (
      !full.compare_exchange_weak(seen, full_after(seen, now, taken), std::memory_order_relaxed)) {
  }
}

}  // namespace

TimePoint Rates::room_at(const RateUse& used) const {
  return std::max(used.messages_full + time_of(1, messages), used.bytes_full + time_of(1, bytes)) -
         burst;
}

RateUse Rates::after(const RateUse& used, TimePoint now, std::uint64_t message_count,
                     std::uint64_t byte_count) const {
  return {full_after(used.messages_full, now, time_of(message_count, messages)),
          full_after(used.bytes_full, now, time_of(byte_count, bytes))};
}

void SharedRateUse::charge(const Rates& rates, TimePoint now, std::uint64_t message_count,
                           std::uint64_t byte_count) {
  raise(messages_full_, now, time_of(message_count, rates.messages));
  raise(bytes_full_, now, time_of(byte_count, rates.bytes));
}

}  // namespace sluice::mqtt
