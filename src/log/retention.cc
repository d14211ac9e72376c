#include "log/retention.h"

#include <algorithm>

namespace sluice::log {
namespace {

// How many segments from the front are older than `limit` as a whole.
std::size_t count_older(const std::vector<Segment>& segments, WallMs limit) {
  const auto kept = std::find_if(segments.begin(), segments.end(), [limit](const Segment& segment) {
    return segment.max_timestamp >= limit;
  });
  return static_cast<std::size_t>(kept - segments.begin());
}

// How many segments can go from the front so that at least `bytes` stay.
std::size_t count_beyond(const std::vector<Segment>& segments, std::uint64_t bytes) {
  std::uint64_t total = 0;
  for (const Segment& segment : segments) total += segment.size;
  std::size_t count = 0;
  while (count < segments.size() && total - segments[count].size >= bytes)
    total -= segments[count++].size;
  return count;
}

// How many segments from the front end at or below `bound`.
std::size_t count_below(const PartitionLog& partition, Offset bound) {
  const auto& segments = partition.state.segments;
  std::size_t count = 0;
  while (count + 1 < segments.size() && segments[count + 1].base <= bound) ++count;
  if (count + 1 == segments.size() && partition.written_until <= bound) ++count;
  return count;
}

// How many can go by the partition's options.
std::size_t count_expired(PartitionLog& partition, WallMs now) {
  const PartitionOptions& options = partition.options;
  const auto& segments = partition.state.segments;
  std::size_t count = 0;
  if (options.retention_ms >= 0) count = count_older(segments, now - options.retention_ms);
  if (options.retention_bytes >= 0) {
    const auto bytes = static_cast<std::uint64_t>(options.retention_bytes);
    count = std::max(count, std::min(count_beyond(segments, bytes), segments.size() - 1));
    if (segments.back().size > bytes) partition.roll = true;
  }
  return std::min(count, count_below(partition, partition.held_from));
}

std::vector<Segment> drop_front(PartitionLog& partition, std::size_t count) {
  auto& segments = partition.state.segments;
  // The last one can only go if nothing follows that belongs to it.
  if (count == segments.size() && partition.written_until != partition.state.end) {
    --count;
    partition.roll = true;
  }
  if (count == 0) return {};
  const auto kept = segments.begin() + static_cast<std::ptrdiff_t>(count);
  std::vector<Segment> dropped(segments.begin(), kept);
  segments.erase(segments.begin(), kept);
  partition.state.start = std::max(
      partition.state.start, segments.empty() ? partition.written_until : segments.front().base);
  // The last checkpoint still names them: whoever tidies up by today's list would delete them too
  // early.
  partition.tidied = true;
  return dropped;
}

}  // namespace

std::vector<Segment> apply_retention(PartitionLog& partition, WallMs now) {
  if (partition.state.segments.empty()) return {};
  const std::int64_t segment_ms = partition.options.segment_ms;
  if (segment_ms >= 0 && now - partition.state.active_since >= segment_ms) partition.roll = true;
  const std::size_t deleted = count_below(partition, partition.state.start);
  return drop_front(partition, std::max(deleted, count_expired(partition, now)));
}

std::vector<Segment> drop_deleted(PartitionLog& partition) {
  if (partition.state.segments.empty()) return {};
  return drop_front(partition, count_below(partition, partition.state.start));
}

}  // namespace sluice::log
