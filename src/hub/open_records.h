#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/ids.h"

namespace sluice::hub {

// What one member of a shared subscription was given and has not settled: positions only, never
// blocks. Tickets are given one after the other, so those that stand open lie in a span of
// consecutive numbers and are found by index, whatever order they are settled in.
//
// Bound: `limit` of them are open at a time, in a span of four times that; 40 bytes each, in memory
// that grows with the span.
class OpenRecords {
 public:
  struct Record {
    Position position;
    std::uint32_t key_hash = 0;
    bool holds_key = false;  // its key is bound to the member (KeyHolders)
    bool kept = false;       // the member's session has it for good: it goes to nobody else
  };

  void set_limit(std::uint32_t limit) { limit_ = limit; }
  [[nodiscard]] std::uint32_t size() const { return open_; }
  [[nodiscard]] bool empty() const { return open_ == 0; }
  [[nodiscard]] bool full() const { return open_ >= limit_ || span_ >= span_max(); }
  // Time to give more after it was full: in portions, not one by one.
  [[nodiscard]] bool has_room_again() const {
    return open_ <= limit_ / 2 && span_ <= span_max() / 2;
  }
  [[nodiscard]] std::uint64_t next_ticket() const { return next_; }

  // Returns its ticket. Precondition: !full().
  std::uint64_t add(const Record& record) {
    if (span_ == capacity_) grow();
    place(next_) = {record, true};
    ++span_;
    ++open_;
    return next_++;
  }
  // It is settled, or taken back. Nothing: it is not open (any more).
  std::optional<Record> close(std::uint64_t ticket) {
    if (next_ - ticket > span_ || ticket >= next_ || !place(ticket).open) return std::nullopt;
    const Record record = place(ticket).record;
    place(ticket).open = false;
    --open_;
    while (span_ > 0 && !place(next_ - span_).open) --span_;
    return record;
  }
  // False: it is not open.
  bool keep(std::uint64_t ticket) {
    if (next_ - ticket > span_ || ticket >= next_ || !place(ticket).open) return false;
    place(ticket).record.kept = true;
    return true;
  }
  template <class Visit>
  void for_each(Visit visit) const {
    for (std::uint64_t ticket = next_ - span_; ticket != next_; ++ticket)
      if (const Place& one = places_[ticket & (capacity_ - 1)]; one.open) visit(one.record);
  }
  // Closes all, oldest first.
  template <class Visit>
  void close_all(Visit visit) {
    while (open_ > 0) visit(*close(next_ - span_));
  }

 private:
  struct Place {
    Record record;
    bool open = false;
  };
  static constexpr std::uint32_t span_per_open = 4;

  [[nodiscard]] std::uint64_t span_max() const { return std::uint64_t{span_per_open} * limit_; }
  [[nodiscard]] Place& place(std::uint64_t ticket) { return places_[ticket & (capacity_ - 1)]; }
  void grow() {
    const std::uint64_t capacity = capacity_ == 0 ? 8 : 2 * capacity_;
    auto places = std::make_unique<Place[]>(capacity);
    for (std::uint64_t ticket = next_ - span_; ticket != next_; ++ticket)
      places[ticket & (capacity - 1)] = place(ticket);
    places_ = std::move(places);
    capacity_ = capacity;
  }

  std::unique_ptr<Place[]> places_;
  std::uint64_t capacity_ = 0;  // 0 or a power of two
  std::uint64_t next_ = 0;
  std::uint64_t span_ = 0;  // tickets from the oldest open one to the newest
  std::uint32_t open_ = 0;
  std::uint32_t limit_ = 1;
};

}  // namespace sluice::hub
