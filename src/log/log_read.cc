#include <algorithm>
#include <ranges>

#include "log/log_impl.h"

namespace sluice::log {
namespace {

constexpr Logger logger("log");

// Segments given to one disk job: enough to get past small ones, few enough not to copy a long
// list.
constexpr std::size_t segments_per_read = 8;
constexpr std::size_t segments_per_hinted_read = 32;

std::size_t segment_of(const std::vector<Segment>& segments, Offset offset) {
  const auto after =
      std::upper_bound(segments.begin(), segments.end(), offset,
                       [](Offset wanted, const Segment& segment) { return wanted < segment.base; });
  return after == segments.begin() ? 0 : static_cast<std::size_t>(after - segments.begin()) - 1;
}

}  // namespace

void Log::Impl::read(Partition id, Offset from, std::size_t bytes_max, KeyHintRef hint,
                     Done<ReadAnswer> done) {
  auto partition = find(id);
  if (!partition)
    return done(fail(Errc::not_found, "no partition {} of stream {:x}", id.index, id.stream.value));
  if (from < partition->state.start || from > partition->visible_end) {
    return done(fail(Errc::out_of_range, "offset {} is not in [{}, {}]", from.value,
                     partition->state.start.value, partition->visible_end.value));
  }
  continue_read({std::move(partition), from, bytes_max, std::move(hint), std::move(done)});
}

void Log::Impl::continue_read(PendingRead read) {
  const PartitionLog& partition = *read.partition;
  const bool is_cached =
      read.from >= partition.written_until ||
      (!partition.cached.empty() && read.from >= partition.cached.front()->from());
  if (!is_cached) return read_disk(std::move(read));
  ReadAnswer answer = read_cached(partition, read.from, read.bytes_max);
  answer.skipped = read.skipped;
  read.done(std::move(answer));
}

ReadAnswer Log::Impl::read_cached(const PartitionLog& partition, Offset from,
                                  std::size_t bytes_max) {
  ReadAnswer answer{.blocks = {},
                    .next = partition.visible_end,
                    .bounds = {partition.state.start, partition.visible_end}};
  std::size_t bytes = 0;
  for (const BlockRef& block : partition.cached.from(from)) {
    if (!answer.blocks.empty() && bytes >= bytes_max) break;
    answer.blocks.push_back(block);
    bytes += block->bytes().size();
  }
  if (!answer.blocks.empty()) answer.next = answer.blocks.back()->until();
  return answer;
}

SegmentRange Log::Impl::range_of(const PartitionLog& partition, std::size_t first,
                                 std::size_t count) {
  const auto& segments = partition.state.segments;
  const std::size_t end = std::min(first + count, segments.size());
  SegmentRange range{.partition = partition.state.id,
                     .segments = {},
                     .until = end < segments.size() ? segments[end].base : partition.written_until,
                     .last_is_active = end == segments.size()};
  if (first < end) {
    range.segments.assign(segments.begin() + static_cast<std::ptrdiff_t>(first),
                          segments.begin() + static_cast<std::ptrdiff_t>(end));
  }
  return range;
}

void Log::Impl::read_disk(PendingRead read) {
  if (disk_reads_ >= disk_reads_max)
    return read.done(fail(Errc::busy, "{} reads wait for the disk", disk_reads_));
  ++disk_reads_;
  const auto& segments = read.partition->state.segments;
  auto range = range_of(*read.partition, segment_of(segments, read.from),
                        read.hint ? segments_per_hinted_read : segments_per_read);
  auto job = [store = store_, range = std::move(range), from = read.from,
              bytes_max = read.bytes_max, hint = read.hint] {
    auto result = store->read(range, from, bytes_max, hint);
    if (result && result->blocks.empty()) result->next = std::max(result->next, range.until);
    return result;
  };
  helper_.run(std::move(job), [this, read = std::move(read)](Result<SegmentRead> result) mutable {
    on_disk_read(std::move(read), std::move(result));
  });
}

void Log::Impl::on_disk_read(PendingRead read, Result<SegmentRead> result) {
  --disk_reads_;
  const PartitionLog& partition = *read.partition;
  if (partition.dropped) return read.done(fail(Errc::closed, "the partition was dropped"));
  if (!result) return read.done(std::unexpected(std::move(result.error())));
  read.skipped += result->skipped;
  if (result->damaged_places > 0) {
    metered_.corrupt_batches.add(result->damaged_places);
    if (damage_log_.allow(loop_.wall_ms())) {
      logger.error("damaged batches skipped", {{"partition", partition_dir(partition.state.id)},
                                               {"from", read.from.value},
                                               {"offsets", read.skipped},
                                               {"suppressed", damage_log_.take_suppressed()}});
    }
  }
  if (may_compact()) key_indexer_.want(read.partition, result->without_index);
  if (result->blocks.empty()) {
    read.from = std::max(result->next, partition.state.start);
    return continue_read(std::move(read));
  }
  for (const BlockRef& block : result->blocks) metered_.read_bytes.add(block->bytes().size());
  read.done(ReadAnswer{.blocks = std::move(result->blocks),
                       .next = result->next,
                       .bounds = {partition.state.start, partition.visible_end},
                       .skipped = read.skipped});
}

void Log::Impl::find_time(Partition id, WallMs when, Done<Found> done) {
  auto partition = find(id);
  if (!partition)
    return done(fail(Errc::not_found, "no partition {} of stream {:x}", id.index, id.stream.value));
  if (disk_reads_ >= disk_reads_max)
    return done(fail(Errc::busy, "{} reads wait for the disk", disk_reads_));
  ++disk_reads_;
  // In the segments first, then in what is not there yet.
  std::vector<BlockRef> unwritten;
  for (const BlockRef& block : partition->cached.from(partition->written_until))
    if (block->max_timestamp() >= when) unwritten.push_back(block);
  auto job = [store = store_, when, floor = partition->state.start,
              unwritten = std::move(unwritten),
              range = range_of(*partition, 0, partition->state.segments.size())] {
    return store->find_time(range, unwritten, when, floor);
  };
  helper_.run(std::move(job), [this, partition, done = std::move(done)](
                                  Result<std::optional<SegmentStore::Found>> found) mutable {
    --disk_reads_;
    if (partition->dropped) return done(fail(Errc::closed, "the partition was dropped"));
    if (!found) return done(std::unexpected(std::move(found.error())));
    if (!*found) return done(Found{partition->visible_end, -1});
    done(Found{(*found)->offset, (*found)->timestamp});
  });
}

void Log::Impl::find_max_time(Partition id, Done<Found> done) {
  const auto partition = find(id);
  if (!partition)
    return done(fail(Errc::not_found, "no partition {} of stream {:x}", id.index, id.stream.value));
  WallMs largest = -1;
  for (const Segment& segment : partition->state.segments)
    largest = std::max(largest, segment.max_timestamp);
  for (const BlockRef& block : partition->cached.from(partition->written_until))
    largest = std::max(largest, block->max_timestamp());
  if (largest < 0) return done(Found{partition->visible_end, -1});
  find_time(id, largest, std::move(done));
}

// From the end backwards: over the blocks that are in no segment yet, then over segments by their
// sizes.
void Log::Impl::find_newest(Partition id, std::uint64_t bytes, Done<Offset> done) {
  auto partition = find(id);
  if (!partition)
    return done(fail(Errc::not_found, "no partition {} of stream {:x}", id.index, id.stream.value));
  const auto unwritten = partition->cached.from(partition->written_until);
  for (const BlockRef& block : unwritten | std::views::reverse) {
    if (block->bytes().size() >= bytes)
      return done(std::max(block->from(), partition->state.start));
    bytes -= block->bytes().size();
  }
  const auto& segments = partition->state.segments;
  std::size_t behind = segments.size();
  while (behind > 0 && segments[behind - 1].size < bytes) bytes -= segments[--behind].size;
  if (behind == 0) return done(partition->state.start);
  find_offset_at(std::move(partition), behind - 1, segments[behind - 1].size - bytes,
                 std::move(done));
}

void Log::Impl::find_offset_at(std::shared_ptr<PartitionLog> partition, std::size_t segment,
                               std::uint64_t at, Done<Offset> done) {
  if (disk_reads_ >= disk_reads_max)
    return done(fail(Errc::busy, "{} reads wait for the disk", disk_reads_));
  ++disk_reads_;
  auto job = [store = store_, range = range_of(*partition, segment, 1), at] {
    return store->offset_at(range, at);
  };
  helper_.run(std::move(job), [this, partition = std::move(partition),
                               done = std::move(done)](Result<Offset> found) mutable {
    --disk_reads_;
    if (partition->dropped) return done(fail(Errc::closed, "the partition was dropped"));
    if (!found) return done(std::move(found));
    done(std::max(*found, partition->state.start));
  });
}

}  // namespace sluice::log
