#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "hub/handle.h"

namespace sluice::hub {

// Things of one shard that are named by a Handle: a place is reused under another generation, so a
// handle kept too long finds nothing instead of somebody else. References stay valid until erase().
template <class T>
class Slots {
 public:
  Handle add(T value) {
    if (free_.empty()) {
      places_.emplace_back();
      free_.push_back(static_cast<std::uint32_t>(places_.size() - 1));
    }
    const std::uint32_t index = free_.back();
    free_.pop_back();
    places_[index].value = std::move(value);
    places_[index].used = true;
    return {index, places_[index].generation};
  }

  void erase(Handle handle) {
    if (!find(handle)) return;
    Place& place = places_[handle.index];
    place.value = T{};
    place.used = false;
    ++place.generation;
    free_.push_back(handle.index);
  }

  [[nodiscard]] T* find(Handle handle) {
    if (handle.index >= places_.size()) return nullptr;
    Place& place = places_[handle.index];
    return place.used && place.generation == handle.generation ? &place.value : nullptr;
  }

  // For indexes that are known to be in use.
  [[nodiscard]] T& at(std::uint32_t index) { return places_[index].value; }
  [[nodiscard]] const T& at(std::uint32_t index) const { return places_[index].value; }
  [[nodiscard]] Handle handle(std::uint32_t index) const {
    return {index, places_[index].generation};
  }
  // One beyond the highest index that was ever in use.
  [[nodiscard]] std::uint32_t places() const { return static_cast<std::uint32_t>(places_.size()); }
  // Nothing where the index is not in use.
  [[nodiscard]] T* used(std::uint32_t index) {
    return index < places_.size() && places_[index].used ? &places_[index].value : nullptr;
  }
  [[nodiscard]] std::size_t size() const { return places_.size() - free_.size(); }

  template <class Visit>
  void for_each(Visit visit) {
    for (std::uint32_t i = 0; i < places_.size(); ++i)
      if (places_[i].used) visit(i, places_[i].value);
  }

 private:
  struct Place {
    T value{};
    std::uint32_t generation = 0;
    bool used = false;
  };
  std::deque<Place> places_;
  std::vector<std::uint32_t> free_;
};

}  // namespace sluice::hub
