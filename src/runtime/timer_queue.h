#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/task.h"
#include "runtime/loop.h"

namespace sluice::runtime {

// The timers of one loop: a binary heap that knows the place of each timer, so that cancelling
// costs no more than adding. Timers of one moment run in the order in which they were added.
class TimerQueue {
 public:
  TimerId add(TimePoint when, Task task);
  // A timer that has run, or runs just now, is no longer there: no effect.
  void cancel(TimerId timer);
  [[nodiscard]] std::optional<TimePoint> next() const;
  // Runs what is due; what these tasks add waits for the next call.
  void run_due(TimePoint now);

 private:
  struct Entry {
    TimePoint when;
    std::uint64_t sequence;
    std::uint32_t slot;
    friend bool operator<(const Entry& a, const Entry& b) {
      return a.when != b.when ? a.when < b.when : a.sequence < b.sequence;
    }
  };
  struct Slot {
    Task task;  // empty: the slot is free
    std::uint32_t generation = 1;
    std::size_t heap_at = 0;
  };

  void place(std::size_t at, Entry entry);
  void move_up(std::size_t at, Entry entry);
  void move_down(std::size_t at, Entry entry);
  Task take(std::size_t heap_at);

  std::vector<Entry> heap_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::uint64_t sequence_ = 0;
};

}  // namespace sluice::runtime
