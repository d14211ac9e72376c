#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "base/assert.h"
#include "base/ids.h"
#include "table/slot.h"

namespace sluice::table {

// The slots of a table that live on one shard.
class Slots {
 public:
  Slots(ShardId shard, std::uint32_t shards) {
    for (std::uint32_t slot = 0; slot < slot_count; ++slot) {
      if (shard_of_slot(slot, shards) == shard) slots_[slot] = std::make_unique<Slot>(put_bytes_);
    }
  }
  Slots(const Slots&) = delete;
  Slots& operator=(const Slots&) = delete;

  // Precondition: the slot's home is this shard.
  Slot& operator[](std::uint32_t slot) const {
    SLUICE_ASSERT(slot < slot_count && slots_[slot] != nullptr);
    return *slots_[slot];
  }
  template <class F>
  void for_each(F f) const {
    for (std::uint32_t slot = 0; slot < slot_count; ++slot) {
      if (slots_[slot]) f(slot, *slots_[slot]);
    }
  }
  // Of puts, of all slots, that are not answered.
  [[nodiscard]] std::size_t put_bytes() const { return put_bytes_; }

 private:
  std::size_t put_bytes_ = 0;
  std::array<std::unique_ptr<Slot>, slot_count> slots_;
};

}  // namespace sluice::table
