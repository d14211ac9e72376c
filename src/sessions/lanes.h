#pragma once

#include <deque>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/task.h"

namespace sluice::sessions {

// One work at a time for each client id, in the order in which they came. Holds those only that
// have some; how many wait is bounded by who asks: of a client there is one connection at a time,
// and the sweep looks at a portion of sessions.
class Lanes {
 public:
  // Runs `work` now, or when all before it have left. It calls leave() when it is through.
  void enter(const std::string& client_id, Task work) {
    const auto [lane, is_free] = waiting_.try_emplace(client_id);
    if (is_free) return work();
    lane->second.push_back(std::move(work));
  }

  void leave(const std::string& client_id) {
    const auto lane = waiting_.find(client_id);
    if (lane->second.empty()) {
      waiting_.erase(lane);
      return;
    }
    Task next = std::move(lane->second.front());
    lane->second.pop_front();
    next();
  }

 private:
  std::unordered_map<std::string, std::deque<Task>> waiting_;  // behind the one that runs
};

}  // namespace sluice::sessions
