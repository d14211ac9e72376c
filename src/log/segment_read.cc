// The ways out of segment files.
#include <algorithm>

#include "base/logger.h"
#include "log/batch_scanner.h"
#include "log/record_batch.h"
#include "log/segment_store.h"

namespace sluice::log {
namespace {

constexpr Logger logger("log");

constexpr std::size_t chunk_min = 64 * 1024;
constexpr std::size_t chunk_max = 1024 * 1024;
constexpr std::size_t expanded_max = 64 * 1024 * 1024;  // of a batch in which a time is looked for
constexpr std::uint64_t index_file_size_max = 64 * 1024 * 1024;

constexpr std::size_t jump_step = 16 * 1024;  // read for the header of a batch that was jumped to
constexpr std::size_t jumps_max = 64;         // in one answer: each may be an access to the disk

BlockRef block_of(Bytes batch, std::shared_ptr<const void> owner) {
  if (owner) return std::make_shared<Block>(batch, std::move(owner));
  return std::make_shared<Block>(Buffer(batch.begin(), batch.end()));
}

// Nothing if the batch holds none. One that cannot be looked into counts as one record.
std::optional<SegmentStore::Found> first_record_since(Bytes batch, WallMs when, Offset floor) {
  Block block(Buffer(batch.begin(), batch.end()));
  const Offset first = std::max(block.from(), floor);
  if (!block.index_records(expanded_max)) return SegmentStore::Found{first, block.max_timestamp()};
  for (const Record& record : block.records()) {
    const Offset offset = block.from() + record.offset_delta;
    if (offset >= floor && block.timestamp(record) >= when)
      return SegmentStore::Found{offset, block.timestamp(record)};
  }
  return std::nullopt;
}

// Reads batches of one segment into an answer; with a selection, those.
class SegmentReader {
 public:
  SegmentReader(CachedSource& source, const BatchScanner::Range& range, const Selection* selection)
      : source_(source),
        scanner_(source, range),
        at_(range.at),
        ceiling_(range.ceiling),
        selection_(selection) {}

  // False when enough has been read; true at the end of the segment.
  Result<bool> read(SegmentStore::Portion& portion, SegmentRead& out) {
    while (out.blocks.empty() || portion.bytes < portion.bytes_max) {
      if (portion.bytes > 0 && portion.bytes >= portion.bytes_max / 2 && !source_.has_batch(at_))
        return false;
      if (selection_ != nullptr) {
        const std::uint64_t to = selection_->next(at_);
        if (to == Selection::none) break;
        if (to != at_ && ++portion.jumps > jumps_max && !out.blocks.empty()) return false;
        scanner_.seek(to);
      }
      SLUICE_TRY_ASSIGN(const auto found, scanner_.next());
      if (!found && scanner_.ended_in_damage()) note_damage(ceiling_, out);
      if (!found) break;
      at_ = found->at + found->bytes.size();
      if (found->until() <= out.next) continue;
      if (found->after_damage) note_damage(found->from(), out);
      out.blocks.push_back(block_of(found->bytes, source_.owner()));
      out.next = found->until();
      portion.bytes += found->bytes.size();
    }
    if (!out.blocks.empty() && portion.bytes >= portion.bytes_max) return false;
    out.next = std::max(out.next, ceiling_);
    return true;
  }

 private:
  // What was lost up to `until` cannot be told from what was left out.
  void note_damage(Offset until, SegmentRead& out) const {
    ++out.damaged_places;
    if (selection_ != nullptr) return;
    out.skipped += static_cast<std::uint64_t>(std::max<std::int64_t>(0, until - out.next));
  }

  CachedSource& source_;
  BatchScanner scanner_;
  std::uint64_t at_;  // of the next batch
  Offset ceiling_;
  const Selection* selection_;
};

}  // namespace

Result<File*> SegmentStore::open_for_chunks(OpenSegment& segment) {
  if (!segment.for_chunks) {
    SLUICE_TRY_ASSIGN(segment.for_chunks,
                      disk_.open(segment_path(segment.key.partition, segment.key.segment),
                                 config_.direct_io ? OpenMode::read_direct : OpenMode::read));
  }
  return segment.for_chunks.get();
}

// Loads the index of a sealed segment, or reads what it does not know yet.
Result<void> SegmentStore::complete_index(OpenSegment& segment, const Segment& known,
                                          Offset ceiling, bool sealed) {
  if (segment.indexed_until >= known.size) return {};
  if (sealed && segment.indexed_until == 0) {
    auto bytes = read_file(disk_, segment_index_path(segment.key.partition, known.id()),
                           index_file_size_max);
    auto index = bytes ? SegmentIndex::decode(*bytes, known.base, known.size)
                       : std::unexpected(bytes.error());
    if (index) {
      segment.index = std::move(*index);
      segment.indexed_until = known.size;
      return {};
    }
  }
  FileSource source(*segment.file, known.size, chunk_max);
  BatchScanner scanner(source, {segment.indexed_until, known.size, known.base, ceiling});
  while (true) {
    SLUICE_TRY_ASSIGN(const auto found, scanner.next());
    if (!found) break;
    segment.index.add(found->from(), found->at, found->header.max_timestamp);
  }
  segment.indexed_until = known.size;
  if (!sealed) return {};
  if (const auto written = write_index(segment, known.size); !written)
    logger.warn("segment index not written", {{"error", written.error().text}});
  return {};
}

Result<SegmentRead> SegmentStore::read(const SegmentRange& range, Offset from,
                                       std::size_t bytes_max, const KeyHintRef& hint) {
  SegmentRead out;
  out.next = from;
  Portion portion{.bytes_max = bytes_max, .hint = hint};
  bool go_on = true;
  for (std::size_t i = 0; go_on && i < range.segments.size(); ++i) {
    SLUICE_TRY_ASSIGN(go_on, read_segment(range, i, portion, out));
  }
  return out;
}

// What of a sealed segment is to be read; all of it without a hint, or an index that knows.
std::shared_ptr<const Selection> SegmentStore::select(Partition partition, const Segment& segment,
                                                      const KeyHintRef& hint, SegmentRead& out) {
  if (!hint || !key_indexes_.enabled()) return nullptr;
  auto selection = key_indexes_.select(partition, segment, hint);
  if (!selection) out.without_index.push_back(segment);
  return selection && selection->is_all(segment.size) ? nullptr : selection;
}

// False when enough has been read.
Result<bool> SegmentStore::read_segment(const SegmentRange& range, std::size_t i, Portion& portion,
                                        SegmentRead& out) {
  const Segment& known = range.segments[i];
  const bool last = i + 1 == range.segments.size();
  const bool sealed = !last || !range.last_is_active;
  const Offset ceiling = last ? range.until : range.segments[i + 1].base;
  const auto selection = sealed ? select(range.partition, known, portion.hint, out) : nullptr;
  if (selection && selection->empty()) {
    out.next = std::max(out.next, ceiling);
    return true;
  }
  SLUICE_TRY_ASSIGN(OpenSegment* const segment, open({range.partition, known.id()}, false));
  SLUICE_TRY(complete_index(*segment, known, ceiling, sealed));

  SLUICE_TRY_ASSIGN(File* const for_chunks, open_for_chunks(*segment));
  const std::size_t step =
      selection ? jump_step : std::clamp(portion.bytes_max, chunk_min, chunk_max);
  FileSource plain(*segment->file, known.size, step);
  // Who jumps would read chunks for little.
  CachedSource source(read_cache_, {segment->key, *for_chunks, known.size}, plain,
                      selection ? 0 : portion.bytes_max);
  return SegmentReader(source, {segment->index.find(out.next), known.size, known.base, ceiling},
                       selection.get())
      .read(portion, out);
}

Result<std::optional<SegmentStore::Found>> SegmentStore::find_time(
    const SegmentRange& range, std::span<const BlockRef> unwritten, WallMs when, Offset floor) {
  for (std::size_t i = 0; i < range.segments.size(); ++i) {
    const Segment& known = range.segments[i];
    if (known.max_timestamp < when) continue;
    const bool last = i + 1 == range.segments.size();
    const Offset ceiling = last ? range.until : range.segments[i + 1].base;
    SLUICE_TRY_ASSIGN(OpenSegment* const segment, open({range.partition, known.id()}, false));
    SLUICE_TRY(complete_index(*segment, known, ceiling, !last || !range.last_is_active));
    FileSource source(*segment->file, known.size, chunk_min);
    BatchScanner scanner(source, {segment->index.find_time(when), known.size, known.base, ceiling});
    while (true) {
      SLUICE_TRY_ASSIGN(const auto found, scanner.next());
      if (!found) break;
      if (found->header.max_timestamp < when || found->until() <= floor) continue;
      if (const auto record = first_record_since(found->bytes, when, floor)) return record;
    }
  }
  for (const BlockRef& block : unwritten)
    if (const auto record = first_record_since(block->bytes(), when, floor)) return record;
  return std::nullopt;
}

Result<Offset> SegmentStore::offset_at(const SegmentRange& range, std::uint64_t at) {
  const Segment& known = range.segments.front();
  SLUICE_TRY_ASSIGN(OpenSegment* const segment, open({range.partition, known.id()}, false));
  SLUICE_TRY(complete_index(*segment, known, range.until, !range.last_is_active));
  return segment->index.offset_at(at).value_or(known.base);
}

}  // namespace sluice::log
