#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "hub/hub.h"

namespace sluice::mqtt {

// Which messages on their way to a client came from shared subscriptions, by packet id: the hub
// must hear when they are done with. A hash table of twice the messages, as ids need not be near
// each other: those of plain subscriptions lie between.
class SentTickets {
 public:
  [[nodiscard]] bool empty() const { return size_ == 0; }

  // `id` is not 0, and not there yet.
  void put(std::uint16_t id, const hub::Ticket& ticket) {
    if (2 * (size_ + 1) > capacity_) grow();
    insert({ticket, id});
    ++size_;
  }
  // Nothing: the message came from elsewhere.
  [[nodiscard]] std::optional<hub::Ticket> find(std::uint16_t id) const {
    if (size_ == 0) return std::nullopt;
    std::uint32_t at = home(id);
    for (; places_[at].id != id; at = next(at))
      if (places_[at].id == none) return std::nullopt;
    return places_[at].ticket;
  }
  // The same; takes it out.
  std::optional<hub::Ticket> take(std::uint16_t id) {
    if (size_ == 0) return std::nullopt;
    std::uint32_t at = home(id);
    for (; places_[at].id != id; at = next(at))
      if (places_[at].id == none) return std::nullopt;
    const hub::Ticket ticket = places_[at].ticket;
    close_gap(at);
    --size_;
    return ticket;
  }
  template <class Visit>
  void for_each(Visit visit) const {
    for (std::uint32_t i = 0; i < capacity_; ++i)
      if (places_[i].id != none) visit(places_[i].id, places_[i].ticket);
  }

 private:
  static constexpr std::uint16_t none = 0;  // no packet has this id
  struct Place {
    hub::Ticket ticket{};
    std::uint16_t id = none;
  };

  // Ids are given one after the other, so they spread by themselves.
  [[nodiscard]] std::uint32_t home(std::uint16_t id) const { return id & (capacity_ - 1); }
  [[nodiscard]] std::uint32_t next(std::uint32_t at) const { return (at + 1) & (capacity_ - 1); }
  void insert(const Place& place) {
    std::uint32_t at = home(place.id);
    while (places_[at].id != none) at = next(at);
    places_[at] = place;
  }
  // Moves those up that would not be found behind an empty place.
  void close_gap(std::uint32_t gap) {
    for (std::uint32_t at = next(gap); places_[at].id != none; at = next(at)) {
      const std::uint32_t from_home = (at - home(places_[at].id)) & (capacity_ - 1);
      if (from_home < ((at - gap) & (capacity_ - 1))) continue;
      places_[gap] = places_[at];
      gap = at;
    }
    places_[gap].id = none;
  }
  void grow() {
    const auto old = std::move(places_);
    const std::uint32_t old_capacity = capacity_;
    capacity_ = capacity_ == 0 ? 16 : 2 * capacity_;
    places_ = std::make_unique<Place[]>(capacity_);
    for (std::uint32_t i = 0; i < old_capacity; ++i)
      if (old[i].id != none) insert(old[i]);
  }

  std::unique_ptr<Place[]> places_;
  std::uint32_t capacity_ = 0;  // 0 or a power of two
  std::uint32_t size_ = 0;
};

}  // namespace sluice::mqtt
