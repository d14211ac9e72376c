#include "log/compactor.h"

#include <algorithm>
#include <utility>

namespace sluice::log {
namespace {

constexpr Logger logger("log");

std::vector<SegmentId> ids_of(const std::vector<Segment>& segments) {
  std::vector<SegmentId> ids;
  ids.reserve(segments.size());
  for (const Segment& segment : segments) ids.push_back(segment.id());
  return ids;
}

}  // namespace

Compactor::Compactor(runtime::Loop& loop, Disk& disk, Helper& disk_helper,
                     std::shared_ptr<SegmentStore> store, Metrics& metrics,
                     std::uint64_t segment_size, std::uint64_t map_size, CompactorOwner& owner)
    : loop_(loop),
      disk_(disk),
      disk_helper_(disk_helper),
      store_(std::move(store)),
      segment_size_(segment_size),
      map_size_(map_size),
      owner_(owner),
      passes_(metrics.counter("sluice_log_compactions_total",
                              "Passes of compaction over a partition that came to their end")),
      removed_bytes_(metrics.counter("sluice_log_compacted_bytes_total",
                                     "Bytes by which compaction has made segments smaller")),
      helper_(loop, "compact") {}

void Compactor::stop() {
  stopped_ = true;
  if (compaction_) compaction_->cancel();
}

std::optional<CompactionPlan> Compactor::plan(const PartitionLog& partition) const {
  const std::int64_t own_size = partition.options.segment_size;
  return plan_compaction(partition, loop_.wall_ms(),
                         own_size > 0 ? static_cast<std::uint64_t>(own_size) : segment_size_);
}

void Compactor::consider(const std::shared_ptr<PartitionLog>& partition) {
  if (stopped_ || partition->compacting || !plan(*partition)) return;
  partition->compacting = true;
  waiting_.push_back(partition);
  start_next();
}

void Compactor::start_next() {
  if (current_ || waiting_.empty() || stopped_) return;
  current_ = std::move(waiting_.front());
  waiting_.pop_front();
  tidy_first();
}

// What a crash left over goes before new files are made: nobody could tell them apart. This also
// waits for the writes that were given to the disk helper before; whether one of them failed, and
// will be tried again, is known in begin().
void Compactor::tidy_first() {
  const bool tidied = std::exchange(current_->tidied, true);
  disk_helper_.run(
      [store = store_, partition = current_->state.id, tidied,
       known = tidied ? std::vector<SegmentId>{} : ids_of(current_->state.segments)] {
        return tidied ? Result<void>{} : store->tidy(partition, known);
      },
      [this](const Result<void>& result) {
        if (!result) return give_up(result.error());
        begin();
      });
}

void Compactor::begin() {
  auto planned = current_->dropped || !owner_.may_compact() ? std::nullopt : plan(*current_);
  if (!planned) return finish();
  compaction_ = std::make_shared<Compaction>(disk_, std::move(*planned), map_size_,
                                             KeyMap::Seed{random_.next(), random_.next()});
  helper_.run([compaction = compaction_] { return compaction->map_keys(); },
              [this](const Result<void>& mapped) {
                if (!mapped) return give_up(mapped.error());
                step();
              });
}

void Compactor::step() {
  helper_.run([compaction = compaction_] { return compaction->next(); },
              [this](Result<std::optional<Compaction::Rewritten>> rewritten) {
                if (!rewritten) return give_up(rewritten.error());
                if (!*rewritten) return finish_pass();
                take(std::move(**rewritten));
              });
}

void Compactor::take(Compaction::Rewritten rewritten) {
  if (!stopped_ && !current_->dropped && owner_.may_compact() && exchange(rewritten)) return step();
  helper_.run(
      [compaction = compaction_, rewritten = std::move(rewritten)] {
        compaction->discard(rewritten);
        return true;
      },
      [this](bool) { finish(); });
}

// False when the partition's segments are not what they were: retention or a deletion has been
// there.
bool Compactor::exchange(const Compaction::Rewritten& rewritten) {
  auto& segments = current_->state.segments;
  const auto& old_ids = rewritten.replaced;
  const auto first = std::find_if(segments.begin(), segments.end(), [&](const Segment& segment) {
    return segment.id() == old_ids.front();
  });
  if (std::cmp_less_equal(segments.end() - first, old_ids.size())) return false;
  const auto end = first + static_cast<std::ptrdiff_t>(old_ids.size());
  if (!std::equal(first, end, old_ids.begin(),
                  [](const Segment& segment, SegmentId id) { return segment.id() == id; }))
    return false;
  const std::vector<Segment> replaced(first, end);
  const auto place = segments.erase(first, end);
  if (rewritten.made) segments.insert(place, *rewritten.made);

  std::uint64_t size = 0;
  for (const Segment& segment : replaced) size += segment.size;
  removed_bytes_.add(size - std::min(size, rewritten.made ? rewritten.made->size : 0));
  owner_.on_compacted(current_->state.id, replaced, rewritten.made);
  return true;
}

void Compactor::finish_pass() {
  auto& state = current_->state;
  if (!state.compaction) state.compaction = std::make_unique<CompactionState>();
  note_pass(*state.compaction,
            {.until = compaction_->mapped_until(),
             .at = loop_.wall_ms(),
             .tombstones = compaction_->tombstones()},
            compaction_->plan().tombstones_below, current_->options.delete_retention_ms);
  passes_.add();
  if (compaction_->keyless() > 0) {
    logger.warn("records without a key were removed from a compacted stream",
                {{"partition", partition_dir(state.id)}, {"records", compaction_->keyless()}});
  }
  const auto again = current_;
  finish();
  consider(again);  // the map was full before the end
}

void Compactor::give_up(const Error& error) {
  if (error.code != Errc::closed && log_limit_.allow(loop_.wall_ms())) {
    logger.warn("a partition was not compacted",
                {{"partition", partition_dir(current_->state.id)}, {"error", error.text}});
  }
  finish();
}

void Compactor::finish() {
  current_->compacting = false;
  current_.reset();
  compaction_.reset();
  start_next();
}

}  // namespace sluice::log
