#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace sluice::mqtt {

// How far a message of QoS 1 or 2 on its way to a client has come.
enum class SendState : std::uint8_t {
  none,       // there is none of this packet id
  sent_qos1,  // waits for PUBACK
  sent_qos2,  // waits for PUBREC
  released,   // QoS 2, PUBREL was sent: waits for PUBCOMP
};

// The packet ids of the messages on their way to a client. Ids are given one after the other, 0
// left out, so those in flight lie in a span of consecutive ids: two bits each, found by index,
// whatever order the client acknowledges in. The bits grow with the span, up to all ids there are.
class SendWindow {
 public:
  // `limit`: how many may be in flight at a time, 1 to 65,535 (the client's receive maximum).
  void set_limit(std::uint16_t limit) { limit_ = limit; }

  [[nodiscard]] std::uint16_t limit() const { return limit_; }
  [[nodiscard]] bool full() const { return in_flight_ >= limit_ || span_ >= ids_max; }
  [[nodiscard]] std::uint32_t in_flight() const { return in_flight_; }
  // Half of the window is free, and so is the next id: time to take more after it was full.
  [[nodiscard]] bool has_room_again() const {
    return in_flight_ <= limit_ / 2u && span_ <= ids_max / 2;
  }

  // The id of the next message, which is sent at `qos` 1 or 2. Precondition: !full().
  std::uint16_t take(std::uint8_t qos) {
    if (next_ == 0) skip_zero();
    const std::uint16_t id = next_;
    if (span_ == capacity_) grow();
    put(id, qos == 2 ? SendState::sent_qos2 : SendState::sent_qos1);
    ++next_;
    ++span_;
    ++in_flight_;
    return id;
  }

  struct Sent {
    std::uint16_t id;
    SendState state;
  };
  // As it was at the end of an earlier connection; `next` is the id of the next message. Ids that
  // don't rise, as they were given, are left out. Precondition: nothing is in flight.
  void restore(std::span<const Sent> sent, std::uint16_t next) {
    const std::uint32_t span = sent.empty() ? 0 : static_cast<std::uint16_t>(next - sent[0].id);
    next_ = static_cast<std::uint16_t>(next - span);
    for (const auto& [id, state] : sent) {
      if (static_cast<std::uint16_t>(next - id) > static_cast<std::uint16_t>(next - next_))
        continue;
      while (next_ != id) pass_over();
      pass_over();
      put(id, state);
      ++in_flight_;
    }
    while (next_ != next) pass_over();
  }
  // Calls visit(id, state) for each message in flight, in the order in which they were sent.
  template <class Visit>
  void for_each(Visit visit) const {
    for (std::uint32_t left = span_; left > 0; --left) {
      const auto id = static_cast<std::uint16_t>(next_ - left);
      if (const SendState state = get(id); state != SendState::none) visit(id, state);
    }
  }
  [[nodiscard]] std::uint16_t next() const { return next_; }
  // How many ids lie from the oldest in flight to the newest given, or to `id`, both included.
  [[nodiscard]] std::uint32_t span() const { return span_; }
  [[nodiscard]] std::uint32_t span_to(std::uint16_t id) const {
    return static_cast<std::uint16_t>(id - oldest()) + 1u;
  }

  [[nodiscard]] SendState state(std::uint16_t id) const {
    const auto place = static_cast<std::uint16_t>(id - oldest());
    return place < span_ ? get(id) : SendState::none;
  }
  // PUBREC has come. Precondition: state(id) is sent_qos2 or released.
  void release(std::uint16_t id) { put(id, SendState::released); }
  // The exchange is over. Precondition: state(id) is not none.
  void finish(std::uint16_t id) {
    put(id, SendState::none);
    --in_flight_;
    while (span_ > 0 && get(oldest()) == SendState::none) --span_;
  }

  void release_memory_if_empty() {
    if (in_flight_ > 0) return;
    words_.reset();
    capacity_ = span_ = 0;
  }

 private:
  // One short of all 65,536, so that the place of id 0 is always free to be skipped.
  static constexpr std::uint32_t ids_max = 65'535;
  static constexpr std::uint32_t ids_per_word = 32;

  [[nodiscard]] std::uint16_t oldest() const { return static_cast<std::uint16_t>(next_ - span_); }
  [[nodiscard]] std::uint64_t& word(std::uint16_t id) const {
    return words_[(id & (capacity_ - 1)) / ids_per_word];
  }
  static unsigned shift(std::uint16_t id) { return id % ids_per_word * 2; }
  [[nodiscard]] SendState get(std::uint16_t id) const {
    return static_cast<SendState>(word(id) >> shift(id) & 3);
  }
  void put(std::uint16_t id, SendState state) {
    word(id) = (word(id) & ~(std::uint64_t{3} << shift(id))) | static_cast<std::uint64_t>(state)
                                                                   << shift(id);
  }
  // Id 0 takes a place in the span like one that has been acknowledged.
  void skip_zero() {
    if (span_ > 0) pass_over();
    next_ = 1;
  }
  void pass_over() {
    if (span_ == capacity_) grow();
    put(next_, SendState::none);
    ++next_;
    ++span_;
  }
  void grow() {
    const std::uint32_t capacity = capacity_ == 0 ? ids_per_word : 2 * capacity_;
    auto words = std::make_unique<std::uint64_t[]>(capacity / ids_per_word);
    for (std::uint32_t i = 0; i < span_; ++i) {
      const auto id = static_cast<std::uint16_t>(oldest() + i);
      words[(id & (capacity - 1)) / ids_per_word] |= static_cast<std::uint64_t>(get(id))
                                                     << shift(id);
    }
    words_ = std::move(words);
    capacity_ = capacity;
  }

  std::unique_ptr<std::uint64_t[]> words_;
  std::uint32_t capacity_ = 0;  // ids: 0 or a power of two, at least 32, at most 65,536
  std::uint32_t span_ = 0;      // ids from the oldest in flight to the newest given
  std::uint32_t in_flight_ = 0;
  std::uint16_t limit_ = 65'535;
  std::uint16_t next_ = 1;
};

}  // namespace sluice::mqtt
