#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "base/task.h"

namespace sluice {

// Runs `done` with the first error when `count` answers have come.
class Together {
 public:
  Together(std::size_t count, Done<void> done)
      : state_(std::make_shared<State>(State{count, std::move(done), {}})) {}

  [[nodiscard]] Done<void> answer() const {
    return [state = state_](Result<void> result) {
      if (state->first && !result) state->first = std::move(result);
      if (--state->open == 0) state->done(std::move(state->first));
    };
  }

 private:
  struct State {
    std::size_t open;
    Done<void> done;
    Result<void> first;
  };
  std::shared_ptr<State> state_;
};

}  // namespace sluice
