#include "runtime/timer_queue.h"

#include <utility>

namespace sluice::runtime {

TimerId TimerQueue::add(TimePoint when, Task task) {
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const auto number = free_slots_.back();
  free_slots_.pop_back();
  auto& slot = slots_[number];
  slot.task = std::move(task);
  heap_.emplace_back();
  move_up(heap_.size() - 1, {when, sequence_++, number});
  return TimerId{std::uint64_t{slot.generation} << 32 | number};
}

void TimerQueue::cancel(TimerId timer) {
  const auto number = static_cast<std::uint32_t>(timer);
  const auto generation = static_cast<std::uint64_t>(timer) >> 32;
  if (number >= slots_.size()) return;
  const auto& slot = slots_[number];
  if (slot.generation == generation && slot.task) take(slot.heap_at);
}

std::optional<TimePoint> TimerQueue::next() const {
  if (heap_.empty()) return std::nullopt;
  return heap_.front().when;
}

void TimerQueue::run_due(TimePoint now) {
  const auto sequence_end = sequence_;
  while (!heap_.empty() && heap_.front().when <= now && heap_.front().sequence < sequence_end)
    take(0)();
}

Task TimerQueue::take(std::size_t heap_at) {
  const auto number = heap_[heap_at].slot;
  const auto last = heap_.back();
  heap_.pop_back();
  if (heap_at < heap_.size()) {
    const bool up = last < heap_[heap_at];
    up ? move_up(heap_at, last) : move_down(heap_at, last);
  }
  auto& slot = slots_[number];
  if (++slot.generation == 0) slot.generation = 1;  // no id equals TimerId::none
  free_slots_.push_back(number);
  return std::exchange(slot.task, nullptr);
}

void TimerQueue::place(std::size_t at, Entry entry) {
  heap_[at] = entry;
  slots_[entry.slot].heap_at = at;
}

void TimerQueue::move_up(std::size_t at, Entry entry) {
  for (; at > 0; at = (at - 1) / 2) {
    const auto parent = heap_[(at - 1) / 2];
    if (!(entry < parent)) break;
    place(at, parent);
  }
  place(at, entry);
}

void TimerQueue::move_down(std::size_t at, Entry entry) {
  for (std::size_t child = 2 * at + 1; child < heap_.size(); child = 2 * at + 1) {
    if (child + 1 < heap_.size() && heap_[child + 1] < heap_[child]) ++child;
    if (!(heap_[child] < entry)) break;
    place(at, heap_[child]);
    at = child;
  }
  place(at, entry);
}

}  // namespace sluice::runtime
