#pragma once

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "runtime/loop.h"

namespace sluice::runtime {

// The turn hooks of one loop, in the order of their phases, then of registration. Hooks may be
// added and removed by a hook that runs.
class TurnHooks {
 public:
  void add(TurnHook& hook, TurnPhase phase) { of(phase).push_back(&hook); }

  void remove(TurnHook& hook) {
    for (auto& hooks : phases_) std::ranges::replace(hooks, &hook, nullptr);
    removed_ = true;
  }

  // A turn begins; run() or skip() ends it.
  void begin() { to_come_ = 0; }
  void skip() { to_come_ = phases_.size(); }
  // Whether the turn under way still comes to this phase.
  [[nodiscard]] bool will_run(TurnPhase phase) const {
    return static_cast<std::size_t>(phase) >= to_come_;
  }

  void run() {
    for (auto& hooks : phases_) {
      ++to_come_;
      for (std::size_t i = 0; i < hooks.size(); ++i) {
        if (hooks[i] != nullptr) hooks[i]->on_turn_end();
      }
    }
    if (!std::exchange(removed_, false)) return;
    for (auto& hooks : phases_) std::erase(hooks, nullptr);
  }

 private:
  using Hooks = std::vector<TurnHook*>;  // null: removed since the last run

  Hooks& of(TurnPhase phase) { return phases_[static_cast<std::size_t>(phase)]; }

  std::array<Hooks, static_cast<std::size_t>(TurnPhase::send) + 1> phases_;
  std::size_t to_come_ = phases_.size();  // phases before it have begun, or there is no turn
  bool removed_ = false;
};

}  // namespace sluice::runtime
