#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/disk.h"
#include "base/metrics.h"
#include "base/random.h"
#include "log/checkpoint.h"
#include "log/helper.h"
#include "log/journal_format.h"
#include "log/log.h"
#include "log/partition_log.h"

namespace sluice::log {

std::string journal_dir(std::uint32_t shard);
std::string journal_path(std::uint32_t shard, std::uint32_t file);

// One thing that goes to the journal, or waits there for its turn.
struct JournalAppend {
  JournalItem item;
  bool waits_only = false;  // nothing is written: `done` just keeps its place in the order
  bool must_sync = false;   // even with os durability
  std::shared_ptr<PartitionLog> partition;
  std::shared_ptr<Block> block;  // of a batch
  Appended answer{};
  Done<Appended> done{};  // may be empty
  runtime::TimePoint appended_at{};
};

// Who is told what becomes of appends: the log.
class JournalOwner {
 public:
  virtual void on_journal_done(std::vector<JournalAppend> appends) = 0;
  // `appends` are all that were under way; none of them counts. Unless the error is disk_full the
  // journal is dead.
  virtual void on_journal_failed(const Error& error, std::vector<JournalAppend> appends) = 0;
  // Half of the files are in use, or more.
  virtual void on_journal_wants_checkpoint() = 0;

 protected:
  ~JournalOwner() = default;
};

// The journal files as the helper sees them. Blocking, on the journal's helper only.
class JournalFiles {
 public:
  JournalFiles(Disk& disk, std::uint32_t shard, std::uint32_t count, OpenMode mode)
      : disk_(disk), shard_(shard), mode_(mode), files_(count) {}

  struct Write {
    std::uint32_t file = 0;
    std::uint64_t at = 0;
    std::vector<Bytes> pieces;
    bool sync = false;
  };
  struct Outcome {
    Result<void> written;
    Result<void> synced;
  };
  Outcome write(const Write& write);
  // Lengthens the file by zeros, up to `size`, by one step. True: it has that size. Appending to a
  // file costs its file system a journal of its own when it is synced, overwriting does not.
  Result<bool> zero_step(std::uint32_t file, std::uint64_t size, bool sync);

 private:
  Result<File*> open(std::uint32_t file);

  Disk& disk_;
  std::uint32_t shard_;
  OpenMode mode_;
  std::vector<std::unique_ptr<File>> files_;
};

// The journal of one shard: gathers what is appended while a write is under way, then writes it as
// one entry.
//
// Shard:   on its loop; the writes happen on a helper of its own.
// Order:   on_journal_done is called in the order of push().
// Bound:   pending_bytes(), which the log limits.
// Format:  docs/formats/journal.md
class Journal {
 public:
  struct Config {
    std::uint32_t shard = 0;
    std::uint64_t run = 0;
    std::uint32_t files = 4;
    std::uint64_t file_size = 64ull << 20;
    Durability durability = Durability::disk;
    bool direct_io = true;
  };
  Journal(runtime::Loop& loop, Disk& disk, Metrics& metrics, Config config, JournalOwner& owner);

  // Whether an entry with a batch of this size can be written at all.
  [[nodiscard]] bool fits(std::size_t batch_size) const;
  void push(JournalAppend append);
  // At the end of a turn: starts a write if none is under way.
  void flush();
  // After disk_full: appends are tried again.
  void resume() { disk_full_ = false; }
  [[nodiscard]] bool disk_full() const { return disk_full_; }  // nothing may be pushed

  [[nodiscard]] bool idle() const { return !writing_ && queue_.empty(); }
  [[nodiscard]] bool stalled() const { return stalled_; }  // waits for a checkpoint to free a file
  [[nodiscard]] std::uint64_t pending_bytes() const { return pending_bytes_; }

  // Everything before it has been reported by on_journal_done.
  [[nodiscard]] const Checkpoint::Position& position() const { return done_; }
  // What lies before `position` is not needed any more.
  void release(const Checkpoint::Position& position);

 private:
  struct Entry;
  struct FileState {
    bool in_use = false;
    std::uint64_t last_sequence = 0;  // of the entries in it
    bool zeroed = false;
  };

  [[nodiscard]] std::uint32_t after(std::uint32_t file) const {
    return (file + 1) % static_cast<std::uint32_t>(states_.size());
  }
  bool make_room_for(std::uint64_t size);
  std::shared_ptr<Entry> take_entry();
  [[nodiscard]] bool may_write_here(const Entry& entry) const;
  void write_here(const std::shared_ptr<Entry>& entry);
  void submit(const std::shared_ptr<Entry>& entry);
  void on_written(const std::shared_ptr<Entry>& entry, JournalFiles::Outcome outcome);
  void fail_all(const Error& error, std::vector<JournalAppend> appends);
  void zero_more();

  runtime::Loop& loop_;
  Config config_;
  JournalOwner& owner_;
  Random random_ = Random::from_os();
  std::shared_ptr<JournalFiles> files_;
  Helper helper_;
  Histogram& sync_seconds_;

  std::deque<JournalAppend> queue_;
  std::size_t queued_items_ = 0;  // those of the queue that are written
  std::uint64_t pending_bytes_ = 0;
  bool writing_ = false;
  bool zeroing_ = false;
  bool stalled_ = false;
  bool disk_full_ = false;
  bool dead_ = false;

  std::vector<FileState> states_;
  std::uint32_t current_ = 0;
  std::uint64_t salt_ = 0;     // of the current file's lap
  std::uint64_t next_at_ = 0;  // in the current file; 0: its header is not written yet
  std::uint64_t next_sequence_ = 1;
  std::uint32_t last_crc_ = 0;
  Checkpoint::Position done_;
};

}  // namespace sluice::log
