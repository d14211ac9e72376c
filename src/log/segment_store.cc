#include "log/segment_store.h"

#include <algorithm>
#include <charconv>

#include "base/logger.h"

namespace sluice::log {
namespace {

constexpr Logger logger("log");

constexpr std::uint64_t writeback_step = 4 * 1024 * 1024;
constexpr std::size_t single_syncs_max = 64;  // more dirty files are cheaper to sync all at once
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

std::string key_index_path(Partition partition, SegmentId segment) {
  return segment_file(partition, segment, ".keys");
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
  key_indexes_.on_written(write);
  return {};
}

Result<SegmentStore::OpenSegment*> SegmentStore::open_for_write(const SegmentWrite& write) {
  if (write.known || write.at == 0) SLUICE_TRY(prepare_dir(write));
  // What a crash has left of an index of this segment: it knows nothing of what comes now.
  if (!is_writable({write.partition, write.segment}))
    SLUICE_TRY(key_indexes_.remove(write.partition, write.segment));
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

Result<void> SegmentStore::write_key_index(Partition partition, SegmentId segment,
                                           const KeyIndexBuilder::File& content) {
  const std::string path = key_index_path(partition, segment);
  const Bytes pieces[] = {content.head, content.blocks};
  SLUICE_TRY_ASSIGN(const auto file, disk_.open(path, OpenMode::write_new));
  auto written = file->write_at(0, pieces);
  // Half an index would only be found damaged, each time.
  if (!written) SLUICE_TRY(key_indexes_.remove(partition, segment));
  return written;
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

bool SegmentStore::is_writable(const SegmentKey& key) const {
  const auto found = by_key_.find(key);
  return found != by_key_.end() && found->second->writable;
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

Result<void> SegmentStore::remove(Partition partition, SegmentId segment) {
  close({partition, segment});
  read_cache_.forget({partition, segment});
  SLUICE_TRY(key_indexes_.remove(partition, segment));
  SLUICE_TRY(disk_.remove(segment_path(partition, segment)));
  return disk_.remove(segment_index_path(partition, segment));
}

Result<void> SegmentStore::remove_partition(Partition partition) {
  read_cache_.forget(partition);
  key_indexes_.forget(partition);
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
