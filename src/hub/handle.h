#pragma once

#include <cstdint>

namespace sluice::hub {

// A publisher or subscriber of one shard. One that is gone is noticed, not mistaken for its
// successor.
struct Handle {
  std::uint32_t index = 0xffff'ffff;
  std::uint32_t generation = 0;
  [[nodiscard]] bool valid() const { return index != 0xffff'ffff; }
  friend bool operator==(const Handle&, const Handle&) = default;
};

}  // namespace sluice::hub
