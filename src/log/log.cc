#include "log/log.h"

#include "base/assert.h"
#include "log/log_impl.h"
#include "log/recovery_state.h"
#include "log/retention.h"

namespace sluice::log {

Log::Impl::Metered::Metered(Metrics& metrics)
    : append_seconds(
          metrics.histogram("sluice_log_append_seconds", "Time from append to durable, per batch")),
      appended_bytes(
          metrics.counter("sluice_log_appended_bytes_total", "Bytes of batches made durable")),
      corrupt_batches(metrics.counter("sluice_log_corrupt_batches_total",
                                      "Damaged stretches of segments met by readers")),
      read_bytes(metrics.counter("sluice_log_read_bytes_total",
                                 "Bytes of batches that readers were given from segments")),
      bytes(metrics.gauge("sluice_log_bytes", "Bytes in segment files")),
      disk_full(
          metrics.gauge("sluice_log_disk_full", "1 while appends are refused for want of room")),
      cache_bytes(metrics.gauge("sluice_log_tail_cache_bytes", "Bytes in the tail cache")),
      read_only(metrics.gauge("sluice_log_read_only",
                              "1 after a failed write or sync, until a restart")) {}

Log::Impl::Impl(Context context, const Options& options, ShardId shard, Recovery& recovered)
    : loop_(*context.loop),
      disk_(*context.disk),
      sink_(context.sink),
      options_(options),
      metered_(*context.metrics),
      helper_(loop_, "disk"),
      store_(std::make_shared<SegmentStore>(
          disk_, SegmentStore::Config{.open_files_max = options.open_files_max,
                                      .direct_io = options.direct_io,
                                      .key_index_memory = options.key_index_memory,
                                      .reads = {.size = options.read_cache_size,
                                                .chunk_size = options.read_chunk_size}})),
      cache_(options.tail_cache_size),
      journal_(loop_, disk_, *context.metrics,
               {.shard = shard.value,
                .run = recovered.state_->origin.run,
                .files = options.journal_files,
                .file_size = options.journal_size,
                .durability = options.durability,
                .direct_io = options.direct_io},
               *this),
      write_behind_(loop_, helper_, store_, options.segment_size, *this),
      checkpointer_(
          disk_, helper_, store_,
          [&] {
            Checkpoint origin = recovered.state_->origin;
            origin.shard = shard.value;
            return origin;
          }(),
          partitions_, journal_, write_behind_, *this),
      compactor_(loop_, disk_, helper_, store_, *context.metrics, options.segment_size,
                 options.compaction_map_size, *this),
      key_indexer_(loop_, disk_, helper_, store_, partitions_, *context.metrics,
                   options.key_index_memory) {
  const std::uint32_t shards = recovered.state_->origin.shards;
  for (auto& [id, state] : recovered.state_->partitions) {
    if (Recovery::owner(id, shards) != shard) continue;
    auto partition = std::make_shared<PartitionLog>();
    partition->state = std::move(state);
    partition->visible_end = partition->written_until = partition->state.end;
    for (const Segment& segment : partition->state.segments)
      metered_.bytes.add(static_cast<std::int64_t>(segment.size));
    partitions_.emplace(id, std::move(partition));
  }
  std::erase_if(recovered.state_->partitions,
                [&](const auto& entry) { return Recovery::owner(entry.first, shards) == shard; });
  loop_.add_turn_hook(*this, runtime::TurnPhase::store);
  arm_retention();
}

Log::Impl::~Impl() {
  loop_.remove_turn_hook(*this);
  loop_.cancel(checkpoint_timer_);
  loop_.cancel(retention_timer_);
  loop_.cancel(probe_timer_);
}

std::shared_ptr<PartitionLog> Log::Impl::find(Partition partition) const {
  const auto found = partitions_.find(partition);
  return found == partitions_.end() ? nullptr : found->second;
}

void Log::Impl::open(Partition partition, PartitionOptions options) {
  auto& slot = partitions_[partition];
  if (!slot) {
    slot = std::make_shared<PartitionLog>();
    slot->state.id = partition;
  }
  slot->options = options;
}

std::vector<Partition> Log::Impl::partitions() const {
  std::vector<Partition> ids;
  ids.reserve(partitions_.size());
  for (const auto& [id, partition] : partitions_) ids.push_back(id);
  return ids;
}

Result<Bounds> Log::Impl::bounds(Partition partition) const {
  const auto found = find(partition);
  if (!found)
    return fail(Errc::not_found, "no partition {} of stream {:x}", partition.index,
                partition.stream.value);
  return Bounds{found->state.start, found->visible_end};
}

// The journal learns of it first: after a crash the partition must not come back without its files.
void Log::Impl::drop(Partition partition) {
  const auto found = partitions_.find(partition);
  if (found == partitions_.end()) return;
  const auto dropped = std::move(found->second);
  partitions_.erase(found);
  dropped->dropped = true;
  cache_.forget(*dropped);
  for (const Segment& segment : dropped->state.segments)
    metered_.bytes.add(-static_cast<std::int64_t>(segment.size));
  journal_drop(dropped);
}

void Log::Impl::journal_drop(std::shared_ptr<PartitionLog> partition) {
  if (failure_ || stopping_) return;  // comes back after a restart, and is dropped again
  if (journal_.disk_full()) return undropped_.push_back(std::move(partition));
  JournalItem item;
  item.kind = JournalItemKind::drop;
  item.partition = partition->state.id;
  journal_.push(
      {.item = item, .must_sync = true, .partition = std::move(partition), .block = nullptr});
}

void Log::Impl::on_journal_done(std::vector<JournalAppend> appends) {
  for (JournalAppend& append : appends) commit(append);
  for (JournalAppend& append : appends) finish(append);
  cache_.evict();
  metered_.cache_bytes.set(static_cast<std::int64_t>(cache_.bytes()));
  tell_room();
  continue_stop();
}

void Log::Impl::commit(JournalAppend& append) {
  if (!append.waits_only) note_change();
  if (append.item.kind == JournalItemKind::start && !append.waits_only)
    return raise_start(*append.partition, append.item.offset);
  if (!append.block || append.partition->dropped) return;
  PartitionLog& partition = *append.partition;
  partition.visible_end = append.block->until();
  cache_.add(partition, append.block);
  write_behind_.add(append.partition, append.item.size);
  metered_.appended_bytes.add(append.item.size);
  metered_.append_seconds.observe_ns((loop_.now() - append.appended_at).count());
  if (sink_ != nullptr) sink_->on_commit(partition.state.id, append.block);
}

void Log::Impl::finish(JournalAppend& append) {
  if (append.item.kind == JournalItemKind::drop && !append.waits_only)
    return delete_files(append.item.partition);
  if (!append.done) return;
  if (append.partition->dropped)
    return append.done(fail(Errc::closed, "the partition was dropped"));
  append.done(append.answer);
}

void Log::Impl::delete_files(Partition partition) {
  helper_.run([store = store_, partition] { return store->remove_partition(partition); },
              [](const Result<void>& removed) {
                constexpr Logger logger("log");
                if (!removed)
                  logger.warn("partition not deleted", {{"error", removed.error().text}});
              });
}

void Log::Impl::note_change() {
  if (checkpoint_timer_ != runtime::TimerId::none || stopping_) return;
  checkpoint_timer_ = loop_.run_after(options_.checkpoint_interval, [this] {
    checkpoint_timer_ = runtime::TimerId::none;
    on_journal_wants_checkpoint();
  });
}

void Log::Impl::on_segments_written(std::uint64_t bytes, std::vector<SealedKeys> sealed) {
  if (may_compact()) key_indexer_.take(std::move(sealed));
  metered_.bytes.add(static_cast<std::int64_t>(bytes));
  cache_.evict();
  metered_.cache_bytes.set(static_cast<std::int64_t>(cache_.bytes()));
  tell_room();
}

void Log::Impl::on_journal_wants_checkpoint() {
  if (!failure_) checkpointer_.start(false);
}

void Log::Impl::on_checkpoint(const Checkpoint::Position& position) {
  journal_.release(position);
  tell_room();
  continue_stop();
}

void Log::Impl::arm_retention() {
  retention_timer_ = loop_.run_after(options_.retention_interval, [this] {
    apply_retention();
    arm_retention();
  });
}

void Log::Impl::apply_retention() {
  const WallMs now = loop_.wall_ms();
  for (const auto& [id, partition] : partitions_) {
    auto& producers = partition->state.producers;
    if (producers) {
      producers->expire(now - options_.producer_expiration_ms);
      if (producers->empty()) producers.reset();
    }
    forget(id, log::apply_retention(*partition, now));
    if (partition->options.compact) compactor_.consider(partition);
  }
}

bool Log::Impl::may_compact() const { return !failure_ && !disk_full_ && !stopping_; }

void Log::Impl::on_compacted(Partition partition, std::span<const Segment> replaced,
                             const std::optional<Segment>& made) {
  if (made) metered_.bytes.add(static_cast<std::int64_t>(made->size));
  forget(partition, replaced);
}

// Of segments that are not in the partition's list any more: the files go once no checkpoint names
// them.
void Log::Impl::forget(Partition partition, std::span<const Segment> segments) {
  for (const Segment& segment : segments) {
    metered_.bytes.add(-static_cast<std::int64_t>(segment.size));
    checkpointer_.doom(partition, segment.id());
    note_change();
  }
}

void Log::Impl::delete_records(Partition id, Offset before, Done<Offset> done) {
  const auto partition = find(id);
  if (!partition)
    return done(fail(Errc::not_found, "no partition {} of stream {:x}", id.index, id.stream.value));
  if (before > partition->visible_end) {
    return done(fail(Errc::out_of_range, "offset {} is beyond the end, {}", before.value,
                     partition->visible_end.value));
  }
  // A start that retention has raised may not be durable yet, and the answer is.
  const Offset start = std::max(before, partition->state.start);
  if (start == Offset{}) return done(start);
  if (auto allowed = may_append(0); !allowed) return done(std::unexpected(allowed.error()));
  journal_.push({.item = {.kind = JournalItemKind::start, .partition = id, .offset = start},
                 .must_sync = true,
                 .partition = partition,
                 .block = nullptr,
                 .answer = {.first = start},
                 .done = [done = std::move(done)](Result<Appended> answer) mutable {
                   if (!answer) return done(std::unexpected(std::move(answer.error())));
                   done(answer->first);
                 }});
}

void Log::Impl::raise_start(PartitionLog& partition, Offset start) {
  if (partition.dropped) return;
  partition.state.start = std::max(partition.state.start, start);
  forget(partition.state.id, drop_deleted(partition));
}

void Log::Impl::hold(Partition partition, Offset from) {
  if (const auto found = find(partition)) found->held_from = from;
}

// The public face.

Log::Log(Context context, Options options, ShardId shard, Recovery& recovered)
    : impl_(std::make_unique<Impl>(context, options, shard, recovered)) {}
Log::~Log() = default;

void Log::open(Partition partition, PartitionOptions options) { impl_->open(partition, options); }
bool Log::has(Partition partition) const { return impl_->has(partition); }
void Log::drop(Partition partition) { impl_->drop(partition); }
std::vector<Partition> Log::partitions() const { return impl_->partitions(); }
void Log::append(Partition partition, std::shared_ptr<Block> block, Done<Appended> done) {
  impl_->append(partition, std::move(block), std::move(done));
}
bool Log::has_room() const { return impl_->has_room(); }
void Log::on_room(Task callback) { impl_->on_room(std::move(callback)); }
Result<Bounds> Log::bounds(Partition partition) const { return impl_->bounds(partition); }
void Log::read(Partition partition, Offset from, std::size_t bytes_max, Done<ReadAnswer> done) {
  impl_->read(partition, from, bytes_max, nullptr, std::move(done));
}
void Log::read(Partition partition, Offset from, std::size_t bytes_max, KeyHintRef hint,
               Done<ReadAnswer> done) {
  impl_->read(partition, from, bytes_max, std::move(hint), std::move(done));
}
void Log::find_time(Partition partition, WallMs when, Done<Found> done) {
  impl_->find_time(partition, when, std::move(done));
}
void Log::find_max_time(Partition partition, Done<Found> done) {
  impl_->find_max_time(partition, std::move(done));
}
void Log::find_newest(Partition partition, std::uint64_t bytes, Done<Offset> done) {
  impl_->find_newest(partition, bytes, std::move(done));
}
void Log::apply_retention() { impl_->apply_retention(); }
void Log::delete_records(Partition partition, Offset before, Done<Offset> done) {
  impl_->delete_records(partition, before, std::move(done));
}
void Log::hold(Partition partition, Offset from) { impl_->hold(partition, from); }
void Log::stop(Done<void> done) { impl_->stop(std::move(done)); }
Log::Health Log::health() const { return impl_->health(); }

}  // namespace sluice::log
