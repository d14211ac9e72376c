#include "log/key_indexer.h"

#include <algorithm>
#include <utility>

#include "log/batch_scanner.h"

namespace sluice::log {
namespace {

constexpr Logger logger("log");

constexpr std::size_t jobs_max = 32;
constexpr std::size_t failed_max = 1024;
constexpr std::size_t chunk_size = 1024 * 1024;         // of reads
constexpr std::size_t expanded_max = 64 * 1024 * 1024;  // of a compressed batch

}  // namespace

Result<KeyIndexBuilder> read_keys(Disk& disk, const SegmentKey& key, const Segment& segment,
                                  Offset ceiling, std::uint64_t memory,
                                  const std::atomic<bool>& stopped) {
  SLUICE_TRY_ASSIGN(const auto file,
                    disk.open(segment_path(key.partition, key.segment), OpenMode::read));
  FileSource source(*file, segment.size, chunk_size);
  BatchScanner scanner(source, {0, segment.size, segment.base, ceiling});
  KeyIndexBuilder keys;
  while (keys.memory() <= memory) {
    if (stopped) return fail(Errc::closed, "the log is being closed");
    SLUICE_TRY_ASSIGN(const auto found, scanner.next());
    if (!found) break;
    keys.add_unknown(found->at - keys.until());  // damage
    const Block block(found->bytes, nullptr);
    if (block.index_records(expanded_max)) {
      keys.add(block);
    } else {
      keys.add_unknown(found->bytes.size());
    }
  }
  keys.add_unknown(segment.size - keys.until());
  return keys;
}

KeyIndexer::KeyIndexer(runtime::Loop& loop, Disk& disk, Helper& disk_helper,
                       std::shared_ptr<SegmentStore> store, const PartitionTable& partitions,
                       Metrics& metrics, std::uint64_t memory)
    : loop_(loop),
      disk_(disk),
      disk_helper_(disk_helper),
      store_(std::move(store)),
      partitions_(partitions),
      memory_(memory),
      of_writes_(metrics.counter("sluice_log_key_indexes_total",
                                 "Key indexes of segments made, of what was written or of what "
                                 "had to be read for it",
                                 "from=\"writes\"")),
      of_reads_(metrics.counter("sluice_log_key_indexes_total",
                                "Key indexes of segments made, of what was written or of what "
                                "had to be read for it",
                                "from=\"reads\"")) {}

void KeyIndexer::stop() { *stopped_ = true; }

void KeyIndexer::take(std::vector<SealedKeys> sealed) {
  for (SealedKeys& one : sealed) {
    const auto found = partitions_.find(one.partition);
    if (found == partitions_.end()) continue;
    const std::uint64_t memory = one.keys.memory();
    add({.partition = found->second,
         .segment = one.segment,
         .keys = std::move(one.keys),
         .memory = memory});
  }
}

void KeyIndexer::want(const std::shared_ptr<PartitionLog>& partition,
                      std::span<const Segment> segments) {
  for (const Segment& segment : segments)
    add({.partition = partition, .segment = segment, .keys = std::nullopt});
}

void KeyIndexer::add(Job job) {
  if (*stopped_ || jobs_.size() >= jobs_max || gathered_bytes_ + job.memory > memory_) return;
  const auto key = job.key();
  const bool is_known = failed_.contains(key) ||
                        std::ranges::any_of(jobs_, [&](const Job& t) { return t.key() == key; });
  if (is_known) return;
  gathered_bytes_ += job.memory;
  jobs_.push_back(std::move(job));
  start_next();
}

std::optional<Offset> KeyIndexer::ceiling_of(const Job& job) {
  if (job.partition->dropped) return std::nullopt;
  const auto& segments = job.partition->state.segments;
  const auto found = std::ranges::find(segments, job.segment.id(), &Segment::id);
  if (found == segments.end() || found + 1 == segments.end()) return std::nullopt;
  return (found + 1)->base;
}

void KeyIndexer::start_next() {
  if (busy_ || jobs_.empty() || *stopped_) return;
  busy_ = true;
  if (!helper_) helper_ = std::make_unique<Helper>(loop_, "keys");
  Job& job = jobs_.front();
  const auto ceiling = ceiling_of(job);
  if (!ceiling) return write(fail(Errc::not_found, "the segment is gone"));
  helper_->run(
      [&disk = disk_, key = job.key(), segment = job.segment, ceiling = *ceiling, limit = memory_,
       keys = std::exchange(job.keys, std::nullopt), stopped = stopped_]() mutable -> Made {
        if (!keys) {
          SLUICE_TRY_ASSIGN(keys, read_keys(disk, key, segment, ceiling, limit, *stopped));
        }
        return keys->encode(segment);
      },
      [this](Made made) { write(std::move(made)); });
}

// The file is written by the helper that deletes segments: while the segment is in the list, that
// is still to come.
void KeyIndexer::write(Made made) {
  const Job& job = jobs_.front();
  if (!made) return finish(std::unexpected(std::move(made.error())));
  if (!ceiling_of(job)) return finish(fail(Errc::not_found, "the segment is gone"));
  disk_helper_.run(
      [store = store_, key = job.key(), file = std::move(*made)] {
        return store->write_key_index(key.partition, key.segment, file);
      },
      [this](const Result<void>& written) { finish(written); });
}

void KeyIndexer::finish(const Result<void>& written) {
  const auto key = jobs_.front().key();
  const std::uint64_t memory = jobs_.front().memory;
  gathered_bytes_ -= memory;
  if (written) (memory > 0 ? of_writes_ : of_reads_).add();
  jobs_.pop_front();
  busy_ = false;
  const bool is_trouble =
      !written && written.error().code != Errc::not_found && written.error().code != Errc::closed;
  if (is_trouble) {
    if (failed_.size() >= failed_max) failed_.erase(failed_.begin());
    failed_.insert(key);
    if (log_limit_.allow(loop_.wall_ms()))
      logger.warn(
          "a key index was not made",
          {{"segment", segment_path(key.partition, key.segment)}, {"error", written.error().text}});
  }
  start_next();
}

}  // namespace sluice::log
