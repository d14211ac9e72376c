#pragma once

#include <algorithm>
#include <vector>

#include "runtime/loop.h"

namespace sluice::runtime {

// The turn hooks of one loop, in the order of registration. Hooks may be added and removed by a
// hook that runs.
class TurnHooks {
 public:
  void add(TurnHook& hook) { hooks_.push_back(&hook); }

  void remove(TurnHook& hook) {
    std::ranges::replace(hooks_, &hook, nullptr);
    removed_ = true;
  }

  void run() {
    for (std::size_t i = 0; i < hooks_.size(); ++i) {
      if (hooks_[i] != nullptr) hooks_[i]->on_turn_end();
    }
    if (removed_) std::erase(hooks_, nullptr);
    removed_ = false;
  }

 private:
  std::vector<TurnHook*> hooks_;  // null: removed since the last run
  bool removed_ = false;
};

}  // namespace sluice::runtime
