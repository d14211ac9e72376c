#include "kafka_stream/append_queue.h"

#include <utility>

namespace sluice::kafka_stream {

std::uint64_t AppendQueue::push(Partition partition, runtime::TimePoint now,
                                Done<stream::Appended> done) {
  Queue& queue = queues_[partition];
  queue.waiting.push_back({now, std::move(done), std::nullopt});
  return queue.first + queue.waiting.size() - 1;
}

void AppendQueue::answer(Partition partition, std::uint64_t number,
                         Result<stream::Appended> result) {
  auto found = queues_.find(partition);
  if (found == queues_.end() || number < found->second.first) return;  // answered by fail_all
  found->second.waiting[number - found->second.first].result = std::move(result);
  // A `done` may append, or learn that the partition is gone.
  for (; found != queues_.end(); found = queues_.find(partition)) {
    Queue& queue = found->second;
    if (queue.waiting.empty() || !queue.waiting.front().result) return;
    Appending ready = std::move(queue.waiting.front());
    queue.waiting.pop_front();
    ++queue.first;
    ready.done(std::move(*ready.result));
  }
}

void AppendQueue::fail_all(Partition partition, const Error& error) {
  const auto found = queues_.find(partition);
  if (found == queues_.end()) return;
  auto waiting = std::move(found->second.waiting);
  queues_.erase(found);
  for (Appending& appending : waiting) appending.done(std::unexpected(error));
}

std::optional<runtime::TimePoint> AppendQueue::oldest() const {
  std::optional<runtime::TimePoint> oldest;
  for (const auto& [partition, queue] : queues_)
    if (!queue.waiting.empty() && (!oldest || queue.waiting.front().since < *oldest))
      oldest = queue.waiting.front().since;
  return oldest;
}

}  // namespace sluice::kafka_stream
