#pragma once

#include <array>
#include <cstddef>
#include <utility>

#include "base/task.h"

namespace sluice::sessions {

// Calls on their way, so that somebody can wait for those made so far. One who waits at a time.
class CallCount {
 public:
  [[nodiscard]] std::size_t begin() {
    ++parts_[now_].open;
    return now_;
  }
  // `error`: null if there was none.
  void end(std::size_t part, const Error* error) {
    Part& of = parts_[part];
    if (of.first && error) of.first = std::unexpected(*error);
    if (--of.open == 0 && part != now_) answer(of);
  }
  // With the first error of those that have ended since the last time. Precondition: nobody waits.
  void when_ended(Done<void> done) {
    Part& of = parts_[std::exchange(now_, 1 - now_)];
    of.waiting = std::move(done);
    if (of.open == 0) answer(of);
  }

 private:
  struct Part {
    std::size_t open = 0;
    Result<void> first{};
    Done<void> waiting{};
  };

  static void answer(Part& part) {
    if (part.waiting)
      std::exchange(part.waiting, nullptr)(std::exchange(part.first, Result<void>{}));
  }

  std::array<Part, 2> parts_{};
  std::size_t now_ = 0;  // of those that begin
};

}  // namespace sluice::sessions
