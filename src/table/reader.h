#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "base/task.h"
#include "log/helper.h"
#include "runtime/loop.h"
#include "table/slots.h"
#include "table/store.h"

namespace sluice::table {

// Answers reads of what the store has and the overlay lays over it at that moment. Reads of the
// store are made in order on one helper; a row leaves the overlay only when the store has it and
// all reads are answered that began before, since those may have missed it.
class Reader {
 public:
  Reader(runtime::Loop& loop, std::shared_ptr<Store> store, Slots& slots, std::string table);

  void get(std::uint32_t slot, std::string key, Done<std::optional<Buffer>> done);
  void scan(std::uint32_t slot, Range range, Done<Portion> done);
  [[nodiscard]] bool empty(std::uint32_t slot) const {
    return !may_be_stored_[slot] && slots_[slot].overlay().empty();
  }

  // The store may have rows of the slot.
  void set_stored(std::uint32_t slot) { may_be_stored_[slot] = true; }
  // The store has all of the slot below `until`.
  void on_stored(std::uint32_t slot, Offset until);

  // Other work on the store, behind the reads.
  [[nodiscard]] log::Helper& helper() { return helper_; }

 private:
  struct Drop {
    std::uint32_t slot;
    Offset until;
    std::uint64_t reads;  // that had begun
  };

  template <class T, class Job, class Then>
  void read(Job job, Then then, Done<T> done);
  void drop_stored();

  const std::shared_ptr<Store> store_;
  Slots& slots_;
  const std::string table_;
  std::array<bool, slot_count> may_be_stored_{};
  std::deque<Drop> drops_;
  std::uint64_t begun_ = 0;
  std::uint64_t done_ = 0;
  log::Helper helper_;
};

}  // namespace sluice::table
