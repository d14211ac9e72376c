#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "hub/handle.h"

namespace sluice::mqtt {

// Who is to be looked at in which second. An entry costs eight bytes and is never searched for:
// whoever changes his mind adds another one, and ignores the one that comes at a time he no longer
// expects.
class TimerWheel {
 public:
  static constexpr std::uint32_t span_s =
      512;  // later than that: come at the end of the span, and look again

  // `now_s` as in the last advance(). Returns when the entry will come up, which may be before
  // `due_s`.
  std::uint32_t add(std::uint32_t due_s, hub::Handle who) {
    const std::uint32_t earliest = now_s_ + 1;
    const std::uint32_t latest = now_s_ + span_s - 1;
    const std::uint32_t at = due_s < earliest ? earliest : due_s > latest ? latest : due_s;
    slots_[at % span_s].push_back(who);
    return at;
  }

  void start(std::uint32_t now_s) { now_s_ = now_s; }

  // Calls `visit(handle, second)` for all entries up to `now_s`; they may add new ones.
  template <class Visit>
  void advance(std::uint32_t now_s, Visit visit) {
    while (now_s_ < now_s) {
      ++now_s_;
      const auto due = std::exchange(slots_[now_s_ % span_s], {});
      for (const hub::Handle who : due) visit(who, now_s_);
    }
  }

 private:
  std::array<std::vector<hub::Handle>, span_s> slots_;
  std::uint32_t now_s_ = 0;
};

}  // namespace sluice::mqtt
