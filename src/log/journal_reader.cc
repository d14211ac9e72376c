#include "log/journal_reader.h"

#include <algorithm>

#include "base/logger.h"
#include "log/batch_layout.h"
#include "log/journal.h"
#include "log/record_batch.h"

namespace sluice::log {
namespace {

constexpr Logger logger("log");

constexpr std::uint64_t search_chunk = 1024 * 1024;

// Offset, length and epoch lie outside the batch's checksum; the entry's checksum covers what
// `item` says of them.
bool restore_batch(const JournalItem& item, Buffer& bytes) {
  if (bytes.size() < batch_header_size) return false;
  std::byte* at = bytes.data();
  store_be<std::int64_t>(at + layout::base_offset, item.offset.value);
  store_be<std::int32_t>(at + layout::batch_length,
                         static_cast<std::int32_t>(item.size - batch_length_offset));
  store_be<std::int32_t>(at + layout::leader_epoch, item.leader_epoch);
  store_be<std::int8_t>(at + layout::magic, 2);
  store_be<std::uint32_t>(at + layout::crc, item.crc);
  const auto header = validate_batch(bytes);
  return header && header->last_offset_delta + 1 == item.count;
}

}  // namespace

Result<void> JournalReader::read(const Checkpoint::Position& from, JournalVisitor& visitor) {
  SLUICE_TRY(open_files());
  if (from.salt != 0) expected_ = from.sequence;
  for (std::size_t i = 0; i < files_.size(); ++i) {
    const bool covered = i + 1 < files_.size() && files_[i + 1].header.first_sequence <= expected_;
    if (covered) continue;
    const JournalFileHeader& header = files_[i].header;
    if (header.first_sequence > expected_)
      note_damage(files_[i], 0, 0);  // entries before this file are missing
    SLUICE_TRY(read_file(i, header.salt == from.salt ? from.at : journal_block, visitor));
  }
  return {};
}

Result<void> JournalReader::open_files() {
  SLUICE_TRY_ASSIGN(const auto names, disk_.list(journal_dir(shard_)));
  for (const std::string& name : names) {
    JournalFile file{.path = journal_dir(shard_) + "/" + name, .file = nullptr, .header = {}};
    SLUICE_TRY_ASSIGN(file.file, disk_.open(file.path, OpenMode::read));
    SLUICE_TRY_ASSIGN(file.size, file.file->size());
    Buffer block(journal_block);
    SLUICE_TRY_ASSIGN(const std::size_t got, file.file->read_at(0, block));
    block.resize(got);
    const auto header = decode_journal_file_header(block);
    if (!header || header->run != run_ || header->shard != shard_) continue;
    file.header = *header;
    files_.push_back(std::move(file));
  }
  std::sort(files_.begin(), files_.end(), [](const JournalFile& a, const JournalFile& b) {
    return a.header.first_sequence < b.header.first_sequence;
  });
  return {};
}

Result<void> JournalReader::read_file(std::size_t number, std::uint64_t at,
                                      JournalVisitor& visitor) {
  const JournalFile& file = files_[number];
  while (at < file.size) {
    SLUICE_TRY_ASSIGN(auto entry, read_entry(file, at));
    if (entry && superseded(number, entry->header.sequence)) return {};
    const std::uint64_t end = entry ? at + entry->header.size : at + journal_block;
    const bool whole = entry && entry->damaged == 0;
    if (!whole) {
      SLUICE_TRY_ASSIGN(const auto next, find_entry(file, end));
      if (!next && !later_file(number)) {
        if (entry) logger.debug("torn journal entry cut", {{"file", file.path}, {"at", at}});
        return {};
      }
      if (!entry) {
        // The end of a file that is followed by the right one is no damage.
        if (!next && files_[number + 1].header.first_sequence == expected_) return {};
        note_damage(file, at, next.value_or(file.size) - at);
        if (!next) {
          expected_ = files_[number + 1].header.first_sequence;
          predecessor_.reset();
          return {};
        }
        at = *next;
        predecessor_.reset();
        continue;
      }
      note_damage(file, at, entry->damaged);
    }
    const bool chained = !predecessor_ || *predecessor_ == entry->header.predecessor;
    if (entry->header.sequence >= expected_ && !chained) note_damage(file, at, 0);
    predecessor_ = entry->header.crc;
    SLUICE_TRY(visit(std::move(*entry), visitor));
    at = end;
  }
  return {};
}

// An entry that found no room on the disk may have been written again, in the next file.
bool JournalReader::superseded(std::size_t number, std::uint64_t sequence) const {
  return number + 1 < files_.size() && files_[number + 1].header.first_sequence <= sequence;
}

bool JournalReader::later_file(std::size_t number) const {
  return number + 1 < files_.size() && files_[number + 1].header.first_sequence >= expected_;
}

Result<void> JournalReader::visit(Entry entry, JournalVisitor& visitor) {
  if (entry.header.sequence < expected_) return {};
  expected_ = entry.header.sequence + 1;
  std::size_t batch = 0;
  for (const JournalItem& item : entry.items) {
    switch (item.kind) {
      case JournalItemKind::batch: {
        Buffer& bytes = entry.batches[batch++];
        if (!bytes.empty())
          SLUICE_TRY(visitor.on_batch(item, std::move(bytes), entry.header.written_at));
        break;
      }
      case JournalItemKind::reserve:
        visitor.on_reserve(item);
        break;
      case JournalItemKind::drop:
        visitor.on_drop(item);
        break;
      case JournalItemKind::start:
        visitor.on_start(item);
        break;
    }
  }
  return {};
}

// Nothing when no entry of this lap begins at `at`.
Result<std::optional<JournalReader::Entry>> JournalReader::read_entry(const JournalFile& file,
                                                                      std::uint64_t at) {
  SLUICE_TRY_ASSIGN(auto entry, read_table(file, at));
  if (!entry) return std::nullopt;
  SLUICE_TRY(read_batches(file, at + entry->header.table_size(), *entry));
  return entry;
}

Result<std::optional<JournalReader::Entry>> JournalReader::read_table(const JournalFile& file,
                                                                      std::uint64_t at) {
  Buffer table(journal_entry_header_size);
  SLUICE_TRY_ASSIGN(std::size_t got, file.file->read_at(at, table));
  table.resize(got);
  const auto header = decode_journal_entry_header(table);
  if (!header || header->salt != file.header.salt ||
      at + header->size > round_up_to_block(file.size))
    return std::nullopt;
  table.resize(header->table_size());
  SLUICE_TRY_ASSIGN(got, file.file->read_at(at, table));
  table.resize(got);
  auto items = decode_journal_items(*header, table);
  if (!items) return std::nullopt;
  return Entry{.header = *header, .items = std::move(*items), .batches = {}};
}

Result<void> JournalReader::read_batches(const JournalFile& file, std::uint64_t at, Entry& entry) {
  for (const JournalItem& item : entry.items) {
    if (item.kind != JournalItemKind::batch) continue;
    Buffer bytes(item.size);
    SLUICE_TRY_ASSIGN(const std::size_t got, file.file->read_at(at, bytes));
    bytes.resize(got);
    if (got < item.size || !restore_batch(item, bytes)) {
      entry.damaged += item.size;
      bytes.clear();
    }
    entry.batches.push_back(std::move(bytes));
    at += item.size;
  }
  return {};
}

// The next block from `at` on where an entry of this lap begins that has not been read.
Result<std::optional<std::uint64_t>> JournalReader::find_entry(const JournalFile& file,
                                                               std::uint64_t at) {
  Buffer chunk;
  for (std::uint64_t chunk_at = at; chunk_at < file.size; chunk_at += search_chunk) {
    chunk.resize(search_chunk);
    SLUICE_TRY_ASSIGN(const std::size_t got, file.file->read_at(chunk_at, chunk));
    chunk.resize(got);
    for (std::size_t i = 0; i + journal_entry_header_size <= got; i += journal_block) {
      const auto header = decode_journal_entry_header(Bytes(chunk).subspan(i));
      if (!header || header->salt != file.header.salt || header->sequence < expected_) continue;
      SLUICE_TRY_ASSIGN(const auto entry, read_table(file, chunk_at + i));
      if (entry) return chunk_at + i;
    }
  }
  return std::nullopt;
}

void JournalReader::note_damage(const JournalFile& file, std::uint64_t at, std::uint64_t bytes) {
  ++damage_.places;
  damage_.bytes += bytes;
  logger.error("journal damaged",
               {{"file", file.path}, {"at", at}, {"bytes", bytes}, {"sequence", expected_}});
}

}  // namespace sluice::log
