#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/disk.h"
#include "log/checkpoint.h"
#include "log/journal_format.h"
#include "log/log.h"

namespace sluice::log {

// Gets what a journal holds, in the order in which it was written.
class JournalVisitor {
 public:
  // `bytes` is a whole, valid batch whose place in the partition `item` tells.
  virtual Result<void> on_batch(const JournalItem& item, Buffer bytes, WallMs written_at) = 0;
  virtual void on_reserve(const JournalItem& item) = 0;
  virtual void on_drop(const JournalItem& item) = 0;
  virtual void on_start(const JournalItem& item) = 0;

 protected:
  ~JournalVisitor() = default;
};

// Reads the journal of one shard back, before the shards run. The end is where the chain of entries
// breaks and nothing comes behind: what a crash tore was never acknowledged. Where something comes
// behind, the break is damage: counted, logged, skipped.
class JournalReader {
 public:
  JournalReader(Disk& disk, std::uint32_t shard, std::uint64_t run)
      : disk_(disk), shard_(shard), run_(run) {}

  Result<void> read(const Checkpoint::Position& from, JournalVisitor& visitor);
  [[nodiscard]] const Recovery::Damage& damage() const { return damage_; }

 private:
  struct JournalFile {
    std::string path;
    std::unique_ptr<File> file;
    std::uint64_t size = 0;
    JournalFileHeader header;
  };
  struct Entry {
    JournalEntryHeader header;
    std::vector<JournalItem> items;
    std::vector<Buffer> batches;  // one per item of kind batch; empty: damaged
    std::uint64_t damaged = 0;    // bytes of batches
  };

  Result<void> open_files();
  Result<void> read_file(std::size_t number, std::uint64_t at, JournalVisitor& visitor);
  Result<std::optional<Entry>> read_entry(const JournalFile& file, std::uint64_t at);
  Result<std::optional<Entry>> read_table(const JournalFile& file, std::uint64_t at);
  Result<void> read_batches(const JournalFile& file, std::uint64_t at, Entry& entry);
  Result<std::optional<std::uint64_t>> find_entry(const JournalFile& file, std::uint64_t at);
  [[nodiscard]] bool superseded(std::size_t number, std::uint64_t sequence) const;
  [[nodiscard]] bool later_file(std::size_t number) const;
  Result<void> visit(Entry entry, JournalVisitor& visitor);
  void note_damage(const JournalFile& file, std::uint64_t at, std::uint64_t bytes);

  Disk& disk_;
  std::uint32_t shard_;
  std::uint64_t run_;
  std::vector<JournalFile> files_;  // of this run, in the order in which they were begun
  std::uint64_t expected_ = 1;      // sequence of the next entry
  std::optional<std::uint32_t> predecessor_;
  Recovery::Damage damage_;
};

}  // namespace sluice::log
