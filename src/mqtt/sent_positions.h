#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/ids.h"

namespace sluice::mqtt {

// Where in the log the messages on their way to a client are, by packet id: a stored session gets
// them again from there. A ring like that of SendWindow, of 32 bytes each; who asks knows by the
// window which ids are in flight.
class SentPositions {
 public:
  struct Sent {
    Position position{};
    std::uint32_t group = 0;  // as of sessions::InFlight
  };
  // `span`: how many ids lie from the oldest in flight to this one, both included. Nothing: the
  // message is not this session's to get again.
  void put(std::uint16_t id, std::uint32_t span, const std::optional<Sent>& sent) {
    if (span > capacity_) grow(id, span);
    set(id, sent);
  }
  // Precondition of all three: it was put, and is in flight.
  void set(std::uint16_t id, const std::optional<Sent>& sent) {
    places_[id & (capacity_ - 1)] = sent.value_or(Sent{});
  }
  void clear(std::uint16_t id) { places_[id & (capacity_ - 1)] = Sent{}; }
  [[nodiscard]] std::optional<Sent> get(std::uint16_t id) const {
    const Sent& sent = places_[id & (capacity_ - 1)];
    if (sent.position == none) return std::nullopt;
    return sent;
  }
  // Of a retained message in flight: its topic, by which it is found again; else empty.
  void set_retained(std::uint16_t id, std::string topic) {
    retained_.insert_or_assign(id, std::move(topic));
  }
  [[nodiscard]] std::string retained(std::uint16_t id) const {
    const auto found = retained_.find(id);
    return found == retained_.end() ? std::string() : found->second;
  }
  void forget_retained(std::uint16_t id) { retained_.erase(id); }
  void release_memory() {
    places_.reset();
    capacity_ = 0;
  }

 private:
  static constexpr Position none{};  // no stream has the id 0

  void grow(std::uint16_t id, std::uint32_t span) {
    std::uint32_t capacity = std::max<std::uint32_t>(capacity_, 8);
    while (capacity < span) capacity *= 2;
    auto places = std::make_unique<Sent[]>(capacity);
    for (std::uint32_t back = 1; back < span && back <= capacity_; ++back) {
      const auto older = static_cast<std::uint16_t>(id - back);
      places[older & (capacity - 1)] = places_[older & (capacity_ - 1)];
    }
    places_ = std::move(places);
    capacity_ = capacity;
  }

  std::map<std::uint16_t, std::string> retained_;
  std::unique_ptr<Sent[]> places_;
  std::uint32_t capacity_ = 0;  // 0 or a power of two
};

}  // namespace sluice::mqtt
