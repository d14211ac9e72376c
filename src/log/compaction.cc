#include "log/compaction.h"

#include <algorithm>

#include "base/logger.h"
#include "log/batch_compaction.h"
#include "log/batch_scanner.h"
#include "log/segment_store.h"

namespace sluice::log {
namespace {

constexpr Logger logger("log");

constexpr std::size_t chunk_size = 1024 * 1024;   // of reads and writes
constexpr std::int64_t passes_per_retention = 4;  // that are told apart, see note_pass

Offset end_of(const PartitionLog& partition, std::size_t segment) {
  const auto& segments = partition.state.segments;
  return segment + 1 < segments.size() ? segments[segment + 1].base : partition.written_until;
}

// How many segments from the front may be rewritten.
std::size_t count_compactable(const PartitionLog& partition, WallMs now) {
  const auto& segments = partition.state.segments;
  const std::int64_t lag = partition.options.min_compaction_lag_ms;
  std::size_t count = 0;
  while (count + 1 < segments.size() && end_of(partition, count) <= partition.held_from &&
         (lag == 0 || segments[count].max_timestamp <= now - lag))
    ++count;
  return count;
}

}  // namespace

std::optional<CompactionPlan> plan_compaction(const PartitionLog& partition, WallMs now,
                                              std::uint64_t segment_size) {
  const std::size_t count = count_compactable(partition, now);
  if (!partition.options.compact || count == 0) return std::nullopt;
  const auto& segments = partition.state.segments;
  CompactionPlan plan{
      .partition = partition.state.id,
      .segments = {segments.begin(), segments.begin() + static_cast<std::ptrdiff_t>(count)},
      .until = end_of(partition, count - 1),
      .clean_until = {},
      .tombstones_below = {},
      .segment_size = segment_size};
  bool tombstones_due = false;
  if (partition.state.compaction) {
    plan.clean_until = partition.state.compaction->until;
    for (const CompactionState::Pass& pass : partition.state.compaction->passes) {
      if (pass.at + partition.options.delete_retention_ms > now) break;
      plan.tombstones_below = pass.until;
      tombstones_due = pass.tombstones > 0;
    }
  }
  std::uint64_t clean = 0;
  std::uint64_t dirty = 0;
  for (std::size_t i = 0; i < count; ++i)
    (end_of(partition, i) <= plan.clean_until ? clean : dirty) += segments[i].size;
  if ((dirty == 0 || dirty < clean) && !tombstones_due) return std::nullopt;
  return plan;
}

// Passes that lie close together are remembered as one, the later: its null values are kept a
// little longer than they need be, and there are never many passes to remember.
void note_pass(CompactionState& state, const CompactionState::Pass& pass, Offset tombstones_below,
               std::int64_t delete_retention_ms) {
  state.until = std::max(state.until, pass.until);
  auto& passes = state.passes;
  for (CompactionState::Pass& earlier : passes)
    if (earlier.until <= tombstones_below) earlier.tombstones = 0;
  // Of those that are over for long enough the last one says it all.
  const auto kept = std::find_if(passes.begin(), passes.end(), [&](const auto& earlier) {
    return earlier.at + delete_retention_ms > pass.at;
  });
  if (kept - passes.begin() > 1) passes.erase(passes.begin(), kept - 1);
  const bool close = passes.size() >= 2 && pass.at - passes[passes.size() - 2].at <
                                               delete_retention_ms / passes_per_retention;
  if (close) {
    passes.back() = pass;
  } else {
    passes.push_back(pass);
  }
}

// Every batch of a segment in order; `visit` may end it by answering false.
template <class Visit>
Result<void> Compaction::scan(std::size_t segment, Visit visit) {
  const Segment& known = plan_.segments[segment];
  const std::string path = segment_path(plan_.partition, known.id());
  const Offset ceiling =
      segment + 1 < plan_.segments.size() ? plan_.segments[segment + 1].base : plan_.until;
  SLUICE_TRY_ASSIGN(const auto file, disk_.open(path, OpenMode::read));
  FileSource source(*file, known.size, chunk_size);
  BatchScanner scanner(source, {0, known.size, known.base, ceiling});
  while (true) {
    if (cancelled_) return fail(Errc::closed, "compaction was cancelled");
    SLUICE_TRY_ASSIGN(const auto found, scanner.next());
    if (found ? found->after_damage : scanner.ended_in_damage())
      return fail(Errc::corrupt, "{} is damaged", path);
    if (!found) return {};
    SLUICE_TRY_ASSIGN(const bool go_on, visit(*found));
    if (!go_on) return {};
  }
}

Result<void> Compaction::map_keys() {
  mapped_until_ = plan_.clean_until;
  bool full = false;
  const auto map = [&](const BatchScanner::Found& found) -> Result<bool> {
    if (found.until() <= plan_.clean_until) return true;
    mapped_until_ = log::map_keys(found.bytes, plan_.clean_until, newest_);
    full = mapped_until_ < found.until();
    return !full;
  };
  for (std::size_t i = 0; i < plan_.segments.size() && !full; ++i) SLUICE_TRY(scan(i, map));
  if (!full) mapped_until_ = plan_.until;
  return {};
}

// A segment that is being written, and its index.
struct Compaction::Output {
  Output(Disk& disk_in, Partition partition_in, SegmentId id)
      : disk(disk_in),
        partition(partition_in),
        segment{.base = id.base, .generation = id.generation} {}

  Result<void> add(Offset from, WallMs max_timestamp, Bytes batch) {
    index.add(from, segment.size, max_timestamp);
    segment.max_timestamp = std::max(segment.max_timestamp, max_timestamp);
    segment.size += batch.size();
    append(buffer, batch);
    return buffer.size() < chunk_size ? Result<void>{} : flush();
  }

  Result<void> flush() {
    if (buffer.empty()) return {};
    if (!file) {
      SLUICE_TRY_ASSIGN(file,
                        disk.open(segment_path(partition, segment.id()), OpenMode::write_new));
    }
    const Bytes piece = buffer;
    SLUICE_TRY(file->write_at(segment.size - buffer.size(), {&piece, 1}));
    buffer.clear();
    return {};
  }

  // The index is not synced: it can be made anew.
  Result<void> finish() {
    SLUICE_TRY(flush());
    SLUICE_TRY(file->sync());
    const Buffer bytes = index.encode(segment.base, segment.size);
    const Bytes piece = bytes;
    SLUICE_TRY_ASSIGN(const auto index_file,
                      disk.open(segment_index_path(partition, segment.id()), OpenMode::write_new));
    SLUICE_TRY(index_file->write_at(0, {&piece, 1}));
    return disk.sync_dir(partition_dir(partition));
  }

  void remove() {
    if (!file) return;
    for (const auto& path :
         {segment_path(partition, segment.id()), segment_index_path(partition, segment.id())}) {
      if (const auto removed = disk.remove(path); !removed)
        logger.warn("a compacted segment was not deleted", {{"error", removed.error().text}});
    }
  }

  Disk& disk;
  Partition partition;
  Segment segment;
  SegmentIndex index;
  Buffer buffer;
  std::unique_ptr<File> file;  // none before the first batch is written
};

Result<std::optional<Compaction::Rewritten>> Compaction::next() {
  while (next_segment_ < plan_.segments.size()) {
    const std::size_t first = next_segment_;
    next_segment_ = group_end(first);
    SLUICE_TRY_ASSIGN(auto rewritten, rewrite(first, next_segment_));
    if (rewritten) return rewritten;
  }
  return std::nullopt;
}

// Small segments, such as earlier passes leave, become one.
std::size_t Compaction::group_end(std::size_t first) const {
  std::uint64_t size = plan_.segments[first].size;
  std::size_t end = first + 1;
  while (end < plan_.segments.size() && size + plan_.segments[end].size <= plan_.segment_size)
    size += plan_.segments[end++].size;
  return end;
}

Result<std::optional<Compaction::Rewritten>> Compaction::rewrite(std::size_t first,
                                                                 std::size_t end) {
  Rewritten rewritten;
  SegmentId id = plan_.segments[first].id();
  for (std::size_t i = first; i < end; ++i) {
    rewritten.replaced.push_back(plan_.segments[i].id());
    id.generation = std::max(id.generation, plan_.segments[i].generation + 1);
  }
  Output output(disk_, plan_.partition, id);
  bool changes = end - first > 1;
  const KeepRule rule{newest_, plan_.tombstones_below};
  const auto compact = [&](const BatchScanner::Found& found) -> Result<bool> {
    CompactedBatch batch = compact_batch(found.bytes, rule);
    tombstones_ += batch.tombstones;
    keyless_ += batch.keyless;
    changes |= batch.kept != CompactedBatch::Kept::all;
    if (batch.kept == CompactedBatch::Kept::none) return true;
    const bool all = batch.kept == CompactedBatch::Kept::all;
    const Bytes bytes = all ? found.bytes : Bytes(batch.bytes);
    const auto header = decode_batch_header(bytes);
    SLUICE_TRY(output.add(found.from(), header->max_timestamp, bytes));
    return true;
  };
  Result<void> done;
  for (std::size_t i = first; i < end && done; ++i) done = scan(i, compact);
  if (done && changes && output.segment.size > 0) done = output.finish();
  if (!done || !changes) output.remove();
  if (!done) return std::unexpected(std::move(done.error()));
  if (!changes) return std::nullopt;
  if (output.segment.size > 0) rewritten.made = output.segment;
  return rewritten;
}

void Compaction::discard(const Rewritten& rewritten) {
  if (!rewritten.made) return;
  for (const auto& path : {segment_path(plan_.partition, rewritten.made->id()),
                           segment_index_path(plan_.partition, rewritten.made->id())}) {
    if (const auto removed = disk_.remove(path); !removed)
      logger.warn("a compacted segment was not deleted", {{"error", removed.error().text}});
  }
}

}  // namespace sluice::log
