#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

// The bytes of journal files: docs/formats/journal.md.
namespace sluice::log {

constexpr std::size_t journal_block = 4096;
constexpr std::size_t journal_entry_header_size = 64;
constexpr std::size_t journal_item_size = 40;

constexpr std::uint64_t round_up_to_block(std::uint64_t size) {
  return (size + journal_block - 1) / journal_block * journal_block;
}

// The first block of a file.
struct JournalFileHeader {
  std::uint64_t run = 0;  // of the hub: only the files of the last one count
  std::uint32_t shard = 0;
  std::uint64_t salt = 0;            // random, anew for each lap over the file
  std::uint64_t first_sequence = 0;  // of the entry behind the header
};

enum class JournalItemKind : std::uint8_t {
  batch = 1,    // a record batch, whose bytes follow
  reserve = 2,  // offsets below `offset` may be given out
  drop = 3,     // the partition is gone
  start = 4,    // records below `offset` are deleted
};

struct JournalItem {
  JournalItemKind kind = JournalItemKind::batch;
  Partition partition;
  Offset offset;           // batch: its base offset; reserve, start: the bound
  std::uint32_t size = 0;  // of the batch in bytes
  std::uint32_t crc = 0;   // the batch's own
  std::int32_t count = 0;  // offsets that the batch takes
  std::int32_t leader_epoch = 0;
};

struct JournalEntryHeader {
  std::uint64_t salt = 0;
  std::uint64_t sequence = 0;
  std::uint32_t predecessor = 0;  // checksum of the entry before this one
  std::uint64_t size = 0;         // all of it, a multiple of journal_block
  std::uint32_t count = 0;        // of items
  WallMs written_at = 0;
  std::uint32_t crc = 0;  // of header and items, filled in by encode

  [[nodiscard]] std::size_t table_size() const {
    return journal_entry_header_size + count * journal_item_size;
  }
};

// One block.
Buffer encode_journal_file_header(const JournalFileHeader& header);
// Nothing unless `block` is a whole header whose checksum holds.
std::optional<JournalFileHeader> decode_journal_file_header(Bytes block);

// Header and items; returns the checksum. The batches follow in the order of the items, then zeros
// up to `header.size`.
std::uint32_t encode_journal_entry(const JournalEntryHeader& header,
                                   std::span<const JournalItem> items, Buffer& out);
// The first 64 bytes of an entry; nothing when they can be none. The checksum is not looked at.
std::optional<JournalEntryHeader> decode_journal_entry_header(Bytes bytes);
// `table` holds header and items: Errc::corrupt when the checksum fails or the sizes contradict
// each other.
Result<std::vector<JournalItem>> decode_journal_items(const JournalEntryHeader& header,
                                                      Bytes table);

}  // namespace sluice::log
