#include "log/journal.h"

#include <algorithm>
#include <array>

#include "base/assert.h"
#include "base/logger.h"
#include "log/batch_layout.h"

namespace sluice::log {
namespace {

constexpr Logger logger("log");

constexpr std::uint64_t zero_step_size = 256 * 1024;
// An entry is as large as what one turn and one sync gather; beyond this it is split, so that acks
// don't wait for all.
constexpr std::uint64_t entry_size_max = 4 * 1024 * 1024;
constexpr std::uint64_t written_here_max = 256 * 1024;

const std::array<std::byte, journal_block> zero_block{};

// Without a sync the page cache answers sooner than a device.
OpenMode open_mode(const Journal::Config& config) {
  const bool direct = config.direct_io && config.durability == Durability::disk;
  return direct ? OpenMode::write_direct : OpenMode::write;
}

Bytes zeros(std::size_t size) { return Bytes(zero_block).first(size); }

}  // namespace

std::string journal_dir(std::uint32_t shard) { return fmt::format("journal/{}", shard); }
std::string journal_path(std::uint32_t shard, std::uint32_t file) {
  return fmt::format("{}/{}", journal_dir(shard), file);
}

JournalFiles::Outcome JournalFiles::write(const Write& write) {
  const auto file = open(write.file);
  if (!file) return {std::unexpected(file.error()), {}};
  if (auto written = (*file)->write_at(write.at, write.pieces); !written)
    return {std::move(written), {}};
  if (!write.sync) return {};
  return {{}, (*file)->sync()};
}

Result<bool> JournalFiles::zero_step(std::uint32_t number, std::uint64_t size, bool sync) {
  SLUICE_TRY_ASSIGN(File* const file, open(number));
  SLUICE_TRY_ASSIGN(const std::uint64_t at, file->size());
  if (at >= size) return true;
  const std::uint64_t count = std::min(zero_step_size, size - at);
  std::vector<Bytes> pieces(count / journal_block, Bytes(zero_block));
  if (count % journal_block != 0) pieces.push_back(zeros(count % journal_block));
  SLUICE_TRY(file->write_at(at, pieces));
  if (sync) SLUICE_TRY(file->sync());
  return at + count >= size;
}

Result<File*> JournalFiles::open(std::uint32_t number) {
  auto& file = files_[number];
  if (!file) {
    SLUICE_TRY_ASSIGN(auto opened, disk_.open(journal_path(shard_, number), mode_));
    SLUICE_TRY(disk_.sync_dir(journal_dir(shard_)));
    file = std::move(opened);
  }
  return file.get();
}

// What is being written: owns all that the helper reads.
struct Journal::Entry {
  std::vector<JournalAppend> appends;
  Buffer file_header;
  Buffer table;
  JournalFiles::Write write;
  JournalEntryHeader header;
  std::uint64_t bytes = 0;  // of the batches
  runtime::TimePoint submitted_at;
};

Journal::Journal(runtime::Loop& loop, Disk& disk, Metrics& metrics, Config config,
                 JournalOwner& owner)
    : loop_(loop),
      config_(config),
      owner_(owner),
      files_(std::make_shared<JournalFiles>(disk, config.shard, config.files, open_mode(config))),
      helper_(loop, "journal"),
      sync_seconds_(
          metrics.histogram("sluice_log_fsync_seconds",
                            "Time to write and sync one journal entry, as the shard sees it")),
      states_(config.files) {
  SLUICE_ASSERT(config.files >= 2);
  salt_ = random_.next() | 1;
  states_[0].in_use = true;
  done_ = {.salt = salt_, .at = journal_block, .sequence = next_sequence_};
  zero_more();
}

bool Journal::fits(std::size_t batch_size) const {
  const std::uint64_t table = journal_entry_header_size + journal_item_size;
  return journal_block + round_up_to_block(table + batch_size) <= config_.file_size;
}

void Journal::push(JournalAppend append) {
  SLUICE_ASSERT(!dead_ && !disk_full_);
  if (!writing_ && queue_.empty()) loop_.need_turn_end(runtime::TurnPhase::store);
  pending_bytes_ += append.item.size;
  if (!append.waits_only) ++queued_items_;
  queue_.push_back(std::move(append));
}

void Journal::flush() {
  while (!writing_ && !queue_.empty()) {
    if (queued_items_ > 0) {
      const auto entry = take_entry();
      if (!entry) return;
      return may_write_here(*entry) ? write_here(entry) : submit(entry);
    }
    std::vector<JournalAppend> waiters(std::make_move_iterator(queue_.begin()),
                                       std::make_move_iterator(queue_.end()));
    queue_.clear();
    owner_.on_journal_done(std::move(waiters));
  }
}

// As much of the queue as one entry should hold. Nothing when no file has room for it.
std::shared_ptr<Journal::Entry> Journal::take_entry() {
  const std::uint64_t limit = std::min(entry_size_max, config_.file_size - journal_block);
  std::size_t taken = 0;
  std::uint64_t size = journal_entry_header_size;
  std::uint64_t bytes = 0;
  for (const JournalAppend& append : queue_) {
    const std::uint64_t more = append.waits_only ? 0 : journal_item_size + append.item.size;
    if (bytes > 0 && size + more > limit) break;
    size += more;
    bytes += append.item.size;
    ++taken;
  }
  if (!make_room_for(round_up_to_block(size))) return nullptr;

  auto entry = std::make_shared<Entry>();
  entry->bytes = bytes;
  entry->appends.reserve(taken);
  std::vector<JournalItem> items;
  items.reserve(taken);
  for (std::size_t i = 0; i < taken; ++i) {
    JournalAppend& append = entry->appends.emplace_back(std::move(queue_[i]));
    if (append.waits_only) continue;
    --queued_items_;
    items.push_back(append.item);
    entry->write.sync |= append.must_sync;
  }
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(taken));

  entry->write.sync |= config_.durability == Durability::disk;
  entry->header = {.salt = salt_,
                   .sequence = next_sequence_,
                   .predecessor = last_crc_,
                   .size = round_up_to_block(size),
                   .count = static_cast<std::uint32_t>(items.size()),
                   .written_at = loop_.wall_ms()};
  entry->header.crc = encode_journal_entry(entry->header, items, entry->table);
  auto& pieces = entry->write.pieces;
  if (next_at_ == 0) {
    entry->file_header = encode_journal_file_header({.run = config_.run,
                                                     .shard = config_.shard,
                                                     .salt = salt_,
                                                     .first_sequence = next_sequence_});
    pieces.push_back(entry->file_header);
  }
  pieces.push_back(entry->table);
  for (const JournalAppend& append : entry->appends)
    if (append.block) pieces.push_back(append.block->bytes());
  if (const auto padding = entry->header.size - size; padding > 0) pieces.push_back(zeros(padding));
  entry->write.file = current_;
  entry->write.at = next_at_;
  return entry;
}

// Goes to the next file when the current one has no room; false while none is free.
bool Journal::make_room_for(std::uint64_t size) {
  const std::uint64_t at = std::max<std::uint64_t>(next_at_, journal_block);
  if (at + size <= config_.file_size) return true;
  const std::uint32_t next = after(current_);
  stalled_ = states_[next].in_use;
  if (!stalled_) {
    current_ = next;
    states_[next].in_use = true;
    salt_ = random_.next() | 1;
    next_at_ = 0;
  }
  const auto in_use =
      std::count_if(states_.begin(), states_.end(), [](const FileState& s) { return s.in_use; });
  if (static_cast<std::size_t>(in_use) * 2 >= states_.size()) owner_.on_journal_wants_checkpoint();
  return !stalled_;
}

// Into the page cache, by the loop itself: that takes less time than waking a helper, and the
// answers leave in the same turn. What the callbacks append waits for the next turn.
void Journal::write_here(const std::shared_ptr<Entry>& entry) {
  writing_ = true;
  entry->submitted_at = loop_.now();
  on_written(entry, files_->write(entry->write));
  if (!queue_.empty()) loop_.need_turn_end(runtime::TurnPhase::store);
}

bool Journal::may_write_here(const Entry& entry) const {
  return !entry.write.sync && entry.header.size <= written_here_max && !zeroing_;
}

void Journal::submit(const std::shared_ptr<Entry>& entry) {
  writing_ = true;
  entry->submitted_at = loop_.now();
  helper_.run(
      [files = files_, entry] { return files->write(entry->write); },
      [this, entry](JournalFiles::Outcome outcome) { on_written(entry, std::move(outcome)); });
}

void Journal::on_written(const std::shared_ptr<Entry>& entry, JournalFiles::Outcome outcome) {
  writing_ = false;
  sync_seconds_.observe_ns((loop_.now() - entry->submitted_at).count());
  if (!outcome.synced || (!outcome.written && outcome.written.error().code != Errc::disk_full)) {
    dead_ = true;
    return fail_all(outcome.synced ? outcome.written.error() : outcome.synced.error(),
                    std::move(entry->appends));
  }
  if (!outcome.written) {
    // The place is written again when there is room: nothing in it counts before.
    disk_full_ = true;
    return fail_all(outcome.written.error(), std::move(entry->appends));
  }
  next_at_ = std::max<std::uint64_t>(next_at_, journal_block) + entry->header.size;
  states_[current_].last_sequence = next_sequence_++;
  last_crc_ = entry->header.crc;
  const Checkpoint::Position done{.salt = salt_, .at = next_at_, .sequence = next_sequence_};
  pending_bytes_ -= entry->bytes;
  // Before the callbacks: the helper need not wait for them.
  if (queued_items_ > 0 && config_.durability == Durability::disk) flush();
  owner_.on_journal_done(std::move(entry->appends));
  done_ = done;  // not before: a checkpoint relies on what is below it being visible
  zero_more();
}

void Journal::fail_all(const Error& error, std::vector<JournalAppend> appends) {
  std::move(queue_.begin(), queue_.end(), std::back_inserter(appends));
  queue_.clear();
  queued_items_ = 0;
  pending_bytes_ = 0;
  owner_.on_journal_failed(error, std::move(appends));
}

void Journal::release(const Checkpoint::Position& position) {
  for (std::uint32_t i = 0; i < states_.size(); ++i)
    if (i != current_ && states_[i].last_sequence < position.sequence) states_[i].in_use = false;
  stalled_ = false;
  flush();
}

// The current file and the next one, a step at a time and only while nothing else is to be written.
void Journal::zero_more() {
  if (zeroing_ || writing_ || dead_ || disk_full_) return;
  for (const std::uint32_t file : {current_, after(current_)}) {
    if (states_[file].zeroed) continue;
    zeroing_ = true;
    return helper_.run(
        [files = files_, file, size = config_.file_size,
         sync = config_.durability == Durability::disk] {
          return files->zero_step(file, size, sync);
        },
        [this, file](const Result<bool>& finished) {
          zeroing_ = false;
          if (!finished) {
            // The file serves as well without; what is wrong shows when it is written.
            logger.warn("journal not preallocated", {{"error", finished.error().text}});
            states_[file].zeroed = true;
          } else {
            states_[file].zeroed = *finished;
          }
          zero_more();
        });
  }
}

}  // namespace sluice::log
