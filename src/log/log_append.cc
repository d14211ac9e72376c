#include "base/assert.h"
#include "log/batch_layout.h"
#include "log/log_impl.h"

namespace sluice::log {
namespace {

// os durability: offsets are reserved in blocks of this many, so that one sync serves for a million
// records.
constexpr std::int64_t reservation = std::int64_t{1} << 20;
constexpr std::int32_t leader_epoch = 0;  // one node: nobody else ever led

}  // namespace

void Log::Impl::append(Partition id, std::shared_ptr<Block> block, Done<Appended> done) {
  const auto partition = find(id);
  if (!partition)
    return done(fail(Errc::not_found, "no partition {} of stream {:x}", id.index, id.stream.value));
  if (auto allowed = may_append(block->bytes().size()); !allowed)
    return done(std::unexpected(allowed.error()));
  Appended answer;
  auto duplicate = is_duplicate(*partition, *block, answer);
  if (!duplicate) return done(std::unexpected(std::move(duplicate.error())));
  if (*duplicate) {
    // The original may still be on its way: the answer waits behind it.
    return journal_.push({.item = {},
                          .waits_only = true,
                          .partition = partition,
                          .block = nullptr,
                          .answer = answer,
                          .done = std::move(done)});
  }

  const Offset base = partition->state.end;
  block->stamp(base, leader_epoch);
  const Offset until = block->until();
  if (options_.durability == Durability::os && until > partition->state.reserved)
    reserve_offsets(partition, until);
  partition->state.end = until;
  if (const auto batch = ProducerBatch::of(block->bytes()); batch.idempotent()) {
    if (!partition->state.producers) partition->state.producers = std::make_unique<ProducerTable>();
    partition->state.producers->add(batch, base, loop_.wall_ms());
  }
  const Bytes bytes = block->bytes();
  journal_.push({.item = {.kind = JournalItemKind::batch,
                          .partition = id,
                          .offset = base,
                          .size = static_cast<std::uint32_t>(bytes.size()),
                          .crc = load_be<std::uint32_t>(bytes.data() + layout::crc),
                          .count = static_cast<std::int32_t>(until - base),
                          .leader_epoch = leader_epoch},
                 .partition = partition,
                 .block = std::move(block),
                 .answer = {.first = base},
                 .done = std::move(done),
                 .appended_at = loop_.now()});
}

Result<void> Log::Impl::may_append(std::size_t batch_size) const {
  if (stopping_) return fail(Errc::closed, "the log is stopping");
  if (failure_) return fail(Errc::io, "the log is read-only: {}", failure_->text);
  if (disk_full_) return std::unexpected(*disk_full_);
  if (!journal_.fits(batch_size)) {
    return fail(Errc::too_large, "a batch of {} bytes does not fit in a journal file of {}",
                batch_size, options_.journal_size);
  }
  if (!has_room()) return fail(Errc::busy, "{} bytes wait for the disk", journal_.pending_bytes());
  return {};
}

bool Log::Impl::has_room() const {
  if (failure_) return true;  // nothing will get better by waiting: the append says what is wrong
  if (disk_full_ || journal_.stalled()) return false;
  return journal_.pending_bytes() < options_.pending_max &&
         write_behind_.unwritten_bytes() < std::max(options_.tail_cache_size, options_.pending_max);
}

Result<bool> Log::Impl::is_duplicate(const PartitionLog& partition, const Block& block,
                                     Appended& original) const {
  if (!partition.state.producers) return false;
  const auto batch = ProducerBatch::of(block.bytes());
  if (!batch.idempotent()) return false;
  SLUICE_TRY_ASSIGN(const auto verdict, partition.state.producers->check(batch));
  original = {.first = verdict.original, .duplicate = verdict.duplicate};
  return verdict.duplicate;
}

// Goes in front of the batch that needs it, in the same entry or an earlier one; that entry is
// synced.
void Log::Impl::reserve_offsets(const std::shared_ptr<PartitionLog>& partition, Offset until) {
  partition->state.reserved = until + reservation;
  journal_.push({.item = {.kind = JournalItemKind::reserve,
                          .partition = partition->state.id,
                          .offset = partition->state.reserved},
                 .must_sync = true,
                 .partition = partition,
                 .block = nullptr});
}

void Log::Impl::on_room(Task callback) {
  if (has_room()) return callback();
  on_room_.push_back(std::move(callback));
}

void Log::Impl::tell_room() {
  if (on_room_.empty() || !has_room()) return;
  for (Task& callback : std::exchange(on_room_, {})) callback();
}

// Nothing at or above the high watermark has happened. Its offsets are free again: nobody has seen
// them.
void Log::Impl::take_back(PartitionLog& partition) {
  partition.state.end = partition.visible_end;
  partition.state.reserved = std::min(partition.state.reserved, partition.state.end);
  if (partition.state.producers) partition.state.producers->rollback(partition.visible_end);
}

void Log::Impl::on_journal_failed(const Error& error, std::vector<JournalAppend> appends) {
  if (error.code == Errc::disk_full) {
    go_disk_full(error);
  } else {
    go_read_only(error);
  }
  for (JournalAppend& append : appends) {
    take_back(*append.partition);
    if (append.item.kind == JournalItemKind::drop) undropped_.push_back(append.partition);
  }
  for (JournalAppend& append : appends)
    if (append.done) append.done(std::unexpected(error));
  tell_room();
  continue_stop();
}

}  // namespace sluice::log
