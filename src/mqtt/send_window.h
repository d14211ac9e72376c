#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace sluice::mqtt {

// The packet ids of the QoS 1 messages on their way to a client. Ids are given one after the other,
// 0 left out, so those in flight lie in a span of consecutive ids: one bit each, found by index,
// whatever order the client acknowledges in. The bits grow with the span, up to all ids there are.
class SendWindow {
 public:
  // `limit`: how many may be in flight at a time, 1 to 65,535 (the client's receive maximum).
  void set_limit(std::uint16_t limit) { limit_ = limit; }

  [[nodiscard]] bool full() const { return in_flight_ >= limit_ || span_ >= ids_max; }
  [[nodiscard]] std::uint32_t in_flight() const { return in_flight_; }
  // Half of the window is free, and so is the next id: time to take more after it was full.
  [[nodiscard]] bool has_room_again() const {
    return in_flight_ <= limit_ / 2u && span_ <= ids_max / 2;
  }

  // The id of the next message. Precondition: !full().
  std::uint16_t take() {
    if (next_ == 0) skip_zero();
    const std::uint16_t id = next_;
    if (span_ == capacity_) grow();
    word(id) |= bit(id);
    ++next_;
    ++span_;
    ++in_flight_;
    return id;
  }

  // False: no message of that id is in flight.
  bool release(std::uint16_t id) {
    if (!holds(id)) return false;
    word(id) &= ~bit(id);
    --in_flight_;
    drop_acknowledged();
    return true;
  }

  void release_if_empty() {
    if (in_flight_ > 0) return;
    bits_.reset();
    capacity_ = span_ = 0;
  }

 private:
  // One short of all 65,536, so that the place of id 0 is always free to be skipped.
  static constexpr std::uint32_t ids_max = 65'535;

  [[nodiscard]] std::uint16_t oldest() const { return static_cast<std::uint16_t>(next_ - span_); }
  [[nodiscard]] std::uint64_t& word(std::uint16_t id) const {
    return bits_[(id & (capacity_ - 1)) / 64];
  }
  static std::uint64_t bit(std::uint16_t id) { return std::uint64_t{1} << (id % 64); }
  [[nodiscard]] bool holds(std::uint16_t id) const {
    const auto place = static_cast<std::uint16_t>(id - oldest());
    return place < span_ && (word(id) & bit(id)) != 0;
  }
  // Id 0 takes a place in the span like one that has been acknowledged.
  void skip_zero() {
    if (span_ > 0) {
      if (span_ == capacity_) grow();
      ++span_;
    }
    next_ = 1;
  }
  void drop_acknowledged() {
    while (span_ > 0 && (word(oldest()) & bit(oldest())) == 0) --span_;
  }
  void grow() {
    const std::uint32_t capacity = capacity_ == 0 ? 64 : 2 * capacity_;
    auto bits = std::make_unique<std::uint64_t[]>(capacity / 64);
    for (std::uint32_t i = 0; i < span_; ++i) {
      const auto id = static_cast<std::uint16_t>(oldest() + i);
      if ((word(id) & bit(id)) != 0) bits[(id & (capacity - 1)) / 64] |= bit(id);
    }
    bits_ = std::move(bits);
    capacity_ = capacity;
  }

  std::unique_ptr<std::uint64_t[]> bits_;
  std::uint32_t capacity_ = 0;  // bits: 0 or a power of two, at least 64, at most 65,536
  std::uint32_t span_ = 0;      // ids from the oldest in flight to the newest given
  std::uint32_t in_flight_ = 0;
  std::uint16_t limit_ = 65'535;
  std::uint16_t next_ = 1;
};

}  // namespace sluice::mqtt
