#include "log/segment_store.h"

#include <algorithm>
#include <charconv>

#include "base/logger.h"
#include "log/batch_scanner.h"
#include "log/record_batch.h"

namespace sluice::log {
namespace {

constexpr Logger logger("log");

constexpr std::size_t chunk_min = 64 * 1024;
constexpr std::size_t chunk_max = 1024 * 1024;
constexpr std::uint64_t writeback_step = 4 * 1024 * 1024;
constexpr std::size_t single_syncs_max = 64;  // more dirty files are cheaper to sync all at once
constexpr std::size_t expanded_max = 64 * 1024 * 1024;  // of a batch in which a time is looked for
constexpr std::uint64_t index_file_size_max = 64 * 1024 * 1024;
constexpr std::string_view streams_dir = "streams";

std::string stream_dir(StreamId stream) {
  return fmt::format("{}/{:016x}", streams_dir, stream.value);
}

// "00000000000000000042.log" -> 42, "00000000000000000042-3.index" -> 42 in generation 3. What
// begins otherwise is no segment.
std::optional<SegmentId> id_of_file(std::string_view name) {
  SegmentId id;
  const char* const begin = name.data();
  const char* const end = begin + name.size();
  const auto base = std::from_chars(begin, end, id.base.value);
  if (base.ec != std::errc()) return std::nullopt;
  if (base.ptr == end || *base.ptr != '-') return id;
  const auto generation = std::from_chars(base.ptr + 1, end, id.generation);
  if (generation.ec != std::errc()) return std::nullopt;
  return id;
}

std::string segment_file(Partition partition, SegmentId segment, std::string_view suffix) {
  const std::string name = fmt::format("{}/{:020}", partition_dir(partition), segment.base.value);
  if (segment.generation == 0) return name + std::string(suffix);
  return fmt::format("{}-{}{}", name, segment.generation, suffix);
}

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

}  // namespace

std::string partition_dir(Partition partition) {
  return fmt::format("{}/{}", stream_dir(partition.stream), partition.index);
}
std::string segment_path(Partition partition, SegmentId segment) {
  return segment_file(partition, segment, ".log");
}
std::string segment_index_path(Partition partition, SegmentId segment) {
  return segment_file(partition, segment, ".index");
}

std::uint64_t SegmentWrite::size() const {
  std::uint64_t size = 0;
  for (const BlockRef& block : blocks) size += block->bytes().size();
  return size;
}

Result<void> SegmentStore::write(const SegmentWrite& write) {
  SLUICE_TRY_ASSIGN(OpenSegment* const segment, open_for_write(write));
  std::vector<Bytes> pieces;
  pieces.reserve(write.blocks.size());
  for (const BlockRef& block : write.blocks) pieces.push_back(block->bytes());
  segment->dirty = true;
  if (!pieces.empty()) SLUICE_TRY(segment->file->write_at(write.at, pieces));

  std::uint64_t at = write.at;
  for (const BlockRef& block : write.blocks) {
    if (segment->indexed_until == at) {
      segment->index.add(block->from(), at, block->max_timestamp());
      segment->indexed_until = at + block->bytes().size();
    }
    at += block->bytes().size();
  }
  if (at - segment->writeback_from >= writeback_step) {
    segment->file->start_writeback(segment->writeback_from, at - segment->writeback_from);
    segment->writeback_from = at;
  }
  if (write.seals && segment->indexed_until == at) SLUICE_TRY(write_index(*segment, at));
  return {};
}

Result<SegmentStore::OpenSegment*> SegmentStore::open_for_write(const SegmentWrite& write) {
  if (write.known || write.at == 0) SLUICE_TRY(prepare_dir(write));
  SLUICE_TRY_ASSIGN(OpenSegment* const segment, open({write.partition, write.segment}, true));
  SLUICE_TRY_ASSIGN(const std::uint64_t size, segment->file->size());
  if (size > write.at) {
    // What a crash or a failed write left behind the last good byte.
    SLUICE_TRY(segment->file->truncate(write.at));
    if (segment->indexed_until > write.at) {
      segment->index = {};
      segment->indexed_until = 0;
    }
  } else if (size < write.at) {
    logger.error("segment is shorter than it was",
                 {{"file", segment_path(write.partition, write.segment)},
                  {"size", size},
                  {"expected", write.at}});
  }
  return segment;
}

Result<void> SegmentStore::prepare_dir(const SegmentWrite& write) {
  const std::string dir = partition_dir(write.partition);
  SLUICE_TRY(disk_.make_dirs(dir));
  dirty_dirs_.insert({std::string(streams_dir), stream_dir(write.partition.stream), dir});
  return write.known ? tidy(write.partition, *write.known) : Result<void>{};
}

Result<void> SegmentStore::tidy(Partition partition, std::span<const SegmentId> known) {
  const std::string dir = partition_dir(partition);
  SLUICE_TRY_ASSIGN(const auto names, disk_.list(dir));
  for (const std::string& name : names) {
    const auto id = id_of_file(name);
    if (!id) {
      SLUICE_TRY(disk_.remove(dir + "/" + name));
    } else if (std::find(known.begin(), known.end(), *id) == known.end()) {
      SLUICE_TRY(remove(partition, *id));  // open perhaps, if this is a second try
    }
  }
  return {};
}

Result<void> SegmentStore::write_index(OpenSegment& segment, std::uint64_t size) {
  const Buffer bytes = segment.index.encode(segment.key.segment.base, size);
  const auto path = segment_index_path(segment.key.partition, segment.key.segment);
  SLUICE_TRY_ASSIGN(const auto file, disk_.open(path, OpenMode::write_new));
  const Bytes piece = bytes;
  return file->write_at(0, {&piece, 1});
}

Result<void> SegmentStore::sync() {
  if (failed_sync_) return std::unexpected(*failed_sync_);
  auto synced = sync_files();
  if (!synced) failed_sync_ = synced.error();
  return synced;
}

Result<void> SegmentStore::sync_files() {
  std::vector<OpenSegment*> dirty;
  for (OpenSegment& segment : open_)
    if (segment.dirty) dirty.push_back(&segment);
  if (dirty.size() > single_syncs_max) {
    SLUICE_TRY(disk_.sync_all());
  } else {
    for (OpenSegment* segment : dirty) SLUICE_TRY(segment->file->sync());
  }
  for (OpenSegment* segment : dirty) segment->dirty = false;
  // Children first, so that a name never leads to something that is not there.
  for (auto dir = dirty_dirs_.rbegin(); dir != dirty_dirs_.rend(); ++dir)
    SLUICE_TRY(disk_.sync_dir(*dir));
  dirty_dirs_.clear();
  return {};
}

Result<SegmentStore::OpenSegment*> SegmentStore::open(const SegmentKey& key, bool writable) {
  const OpenMode write_mode = config_.direct_io ? OpenMode::write_direct : OpenMode::write;
  if (const auto found = by_key_.find(key); found != by_key_.end()) {
    open_.splice(open_.end(), open_, found->second);
    if (found->second->writable || !writable) return &*found->second;
    SLUICE_TRY_ASSIGN(found->second->file,
                      disk_.open(segment_path(key.partition, key.segment), write_mode));
    found->second->writable = true;
    return &*found->second;
  }
  make_room();
  OpenSegment segment{
      .key = key, .file = nullptr, .for_chunks = nullptr, .writable = writable, .index = {}};
  SLUICE_TRY_ASSIGN(segment.file, disk_.open(segment_path(key.partition, key.segment),
                                             writable ? write_mode : OpenMode::read));
  open_.push_back(std::move(segment));
  by_key_[key] = std::prev(open_.end());
  return &open_.back();
}

Result<File*> SegmentStore::open_for_chunks(OpenSegment& segment) {
  if (!segment.for_chunks) {
    SLUICE_TRY_ASSIGN(segment.for_chunks,
                      disk_.open(segment_path(segment.key.partition, segment.key.segment),
                                 config_.direct_io ? OpenMode::read_direct : OpenMode::read));
  }
  return segment.for_chunks.get();
}

// A dirty file is synced before it is closed. Whoever opens another one is not to blame if that
// fails: the next sync() tells.
void SegmentStore::make_room() {
  while (open_.size() >= std::max<std::size_t>(config_.open_files_max, 1)) {
    const OpenSegment& oldest = open_.front();
    if (oldest.dirty) {
      if (auto synced = oldest.file->sync(); !synced) failed_sync_ = std::move(synced.error());
    }
    by_key_.erase(oldest.key);
    open_.pop_front();
  }
}

void SegmentStore::close(const SegmentKey& key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return;
  open_.erase(found->second);
  by_key_.erase(found);
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
                                       std::size_t bytes_max) {
  SegmentRead out;
  out.next = from;
  std::size_t bytes = 0;
  bool go_on = true;
  for (std::size_t i = 0; go_on && i < range.segments.size(); ++i) {
    SLUICE_TRY_ASSIGN(go_on, read_segment(range, i, bytes_max, out, bytes));
  }
  return out;
}

// False when enough has been read.
Result<bool> SegmentStore::read_segment(const SegmentRange& range, std::size_t i,
                                        std::size_t bytes_max, SegmentRead& out,
                                        std::size_t& bytes) {
  const Segment& known = range.segments[i];
  const bool last = i + 1 == range.segments.size();
  const Offset ceiling = last ? range.until : range.segments[i + 1].base;
  SLUICE_TRY_ASSIGN(OpenSegment* const segment, open({range.partition, known.id()}, false));
  SLUICE_TRY(complete_index(*segment, known, ceiling, !last || !range.last_is_active));

  SLUICE_TRY_ASSIGN(File* const for_chunks, open_for_chunks(*segment));
  FileSource plain(*segment->file, known.size, std::clamp(bytes_max, chunk_min, chunk_max));
  CachedSource source(read_cache_, {segment->key, *for_chunks, known.size}, plain, bytes_max);
  BatchScanner scanner(source, {segment->index.find(out.next), known.size, known.base, ceiling});
  std::uint64_t at = 0;  // of the next batch
  while (out.blocks.empty() || bytes < bytes_max) {
    if (bytes > 0 && bytes >= bytes_max / 2 && !source.has_batch(at)) return false;
    SLUICE_TRY_ASSIGN(const auto found, scanner.next());
    if (!found) {
      if (scanner.ended_in_damage()) {
        ++out.damaged_places;
        out.skipped += static_cast<std::uint64_t>(std::max<std::int64_t>(0, ceiling - out.next));
      }
      out.next = std::max(out.next, ceiling);
      return true;
    }
    at = found->at + found->bytes.size();
    if (found->until() <= out.next) continue;
    if (found->after_damage) {
      ++out.damaged_places;
      out.skipped +=
          static_cast<std::uint64_t>(std::max<std::int64_t>(0, found->from() - out.next));
    }
    out.blocks.push_back(block_of(found->bytes, source.owner()));
    out.next = found->until();
    bytes += found->bytes.size();
  }
  return false;
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

Result<void> SegmentStore::remove(Partition partition, SegmentId segment) {
  close({partition, segment});
  read_cache_.forget({partition, segment});
  SLUICE_TRY(disk_.remove(segment_path(partition, segment)));
  return disk_.remove(segment_index_path(partition, segment));
}

Result<void> SegmentStore::remove_partition(Partition partition) {
  read_cache_.forget(partition);
  for (auto at = open_.begin(); at != open_.end();) {
    if (at->key.partition == partition) {
      by_key_.erase(at->key);
      at = open_.erase(at);
    } else {
      ++at;
    }
  }
  const std::string dir = partition_dir(partition);
  dirty_dirs_.erase(dir);
  return disk_.remove_all(dir);
}

}  // namespace sluice::log
