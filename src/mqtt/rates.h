#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "runtime/loop.h"

namespace sluice::mqtt {

// What has been used of a rate: when the bucket will be full again. A moment that has passed, such
// as the first of all: it is full.
struct RateUse {
  runtime::TimePoint messages_full;
  runtime::TimePoint bytes_full;
};

// How much may be published in a second, as token buckets that hold what comes together in one
// second. A message is taken while there is a token for it and one for its first byte; it may leave
// a debt of bytes, so that no message is too large for ever.
struct Rates {
  static constexpr runtime::Duration burst = std::chrono::seconds(1);

  std::uint64_t messages = 0;  // per second; 0: no limit
  std::uint64_t bytes = 0;

  [[nodiscard]] bool limited() const { return messages != 0 || bytes != 0; }
  [[nodiscard]] bool has_room(const RateUse& used, runtime::TimePoint now) const {
    return room_at(used) <= now;
  }
  // When there is room for a message.
  [[nodiscard]] runtime::TimePoint room_at(const RateUse& used) const;
  // `used` after these messages, of so many bytes in all.
  [[nodiscard]] RateUse after(const RateUse& used, runtime::TimePoint now,
                              std::uint64_t message_count, std::uint64_t byte_count) const;
};

// The use of a rate by all shards together.
class SharedRateUse {
 public:
  [[nodiscard]] RateUse load() const {
    return {messages_full_.load(std::memory_order_relaxed),
            bytes_full_.load(std::memory_order_relaxed)};
  }
  void charge(const Rates& rates, runtime::TimePoint now, std::uint64_t message_count,
              std::uint64_t byte_count);

 private:
  std::atomic<runtime::TimePoint> messages_full_{};
  std::atomic<runtime::TimePoint> bytes_full_{};
};

}  // namespace sluice::mqtt
