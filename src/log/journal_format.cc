#include "log/journal_format.h"

#include <algorithm>

#include "base/assert.h"
#include "base/hash.h"

namespace sluice::log {
namespace {

constexpr std::uint32_t file_magic = 0x534c4a46;   // "SLJF"
constexpr std::uint32_t entry_magic = 0x534c4a45;  // "SLJE"
constexpr std::uint16_t version = 1;
constexpr std::size_t crc_at = 4;  // in both headers; what it covers begins behind it

std::uint32_t checksum(Bytes bytes) {
  return crc32c(bytes.subspan(crc_at + sizeof(std::uint32_t)));
}

void write_item(Writer& writer, const JournalItem& item) {
  writer.write<std::uint8_t>(static_cast<std::uint8_t>(item.kind));
  writer.write<std::uint8_t>(0);
  writer.write<std::uint16_t>(0);
  writer.write<std::uint32_t>(item.partition.index);
  writer.write<std::uint64_t>(item.partition.stream.value);
  writer.write<std::int64_t>(item.offset.value);
  writer.write<std::uint32_t>(item.size);
  writer.write<std::uint32_t>(item.crc);
  writer.write<std::int32_t>(item.count);
  writer.write<std::int32_t>(item.leader_epoch);
}

JournalItem read_item(Reader& reader) {
  JournalItem item;
  item.kind = static_cast<JournalItemKind>(reader.read<std::uint8_t>());
  reader.skip(3);
  item.partition.index = reader.read<std::uint32_t>();
  item.partition.stream.value = reader.read<std::uint64_t>();
  item.offset.value = reader.read<std::int64_t>();
  item.size = reader.read<std::uint32_t>();
  item.crc = reader.read<std::uint32_t>();
  item.count = reader.read<std::int32_t>();
  item.leader_epoch = reader.read<std::int32_t>();
  return item;
}

bool is_known(JournalItemKind kind) {
  return kind == JournalItemKind::batch || kind == JournalItemKind::reserve ||
         kind == JournalItemKind::drop || kind == JournalItemKind::start;
}

}  // namespace

Buffer encode_journal_file_header(const JournalFileHeader& header) {
  Buffer fields;
  Writer writer(fields);
  writer.write<std::uint32_t>(file_magic);
  writer.write<std::uint32_t>(0);  // the checksum, below
  writer.write<std::uint16_t>(version);
  writer.write<std::uint16_t>(0);
  writer.write<std::uint32_t>(header.shard);
  writer.write<std::uint64_t>(header.run);
  writer.write<std::uint64_t>(header.salt);
  writer.write<std::uint64_t>(header.first_sequence);
  Buffer block(journal_block, std::byte{0});
  std::copy(fields.begin(), fields.end(), block.begin());
  store_be<std::uint32_t>(block.data() + crc_at, checksum(block));
  return block;
}

std::optional<JournalFileHeader> decode_journal_file_header(Bytes block) {
  if (block.size() != journal_block) return std::nullopt;
  Reader reader(block);
  const auto magic = reader.read<std::uint32_t>();
  const auto crc = reader.read<std::uint32_t>();
  const auto found_version = reader.read<std::uint16_t>();
  if (magic != file_magic || found_version != version || crc != checksum(block))
    return std::nullopt;
  reader.skip(2);
  JournalFileHeader header;
  header.shard = reader.read<std::uint32_t>();
  header.run = reader.read<std::uint64_t>();
  header.salt = reader.read<std::uint64_t>();
  header.first_sequence = reader.read<std::uint64_t>();
  return header;
}

std::uint32_t encode_journal_entry(const JournalEntryHeader& header,
                                   std::span<const JournalItem> items, Buffer& out) {
  SLUICE_ASSERT(header.count == items.size() && header.size % journal_block == 0);
  out.clear();
  out.reserve(header.table_size());
  Writer writer(out);
  writer.write<std::uint32_t>(entry_magic);
  writer.write<std::uint32_t>(0);  // the checksum, below
  writer.write<std::uint64_t>(header.salt);
  writer.write<std::uint64_t>(header.sequence);
  writer.write<std::uint32_t>(header.predecessor);
  writer.write<std::uint32_t>(header.count);
  writer.write<std::uint64_t>(header.size);
  writer.write<std::int64_t>(header.written_at);
  writer.write<std::uint64_t>(0);
  writer.write<std::uint64_t>(0);
  for (const JournalItem& item : items) write_item(writer, item);
  const std::uint32_t crc = checksum(out);
  writer.patch<std::uint32_t>(crc_at, crc);
  return crc;
}

std::optional<JournalEntryHeader> decode_journal_entry_header(Bytes bytes) {
  Reader reader(bytes);
  const auto magic = reader.read<std::uint32_t>();
  JournalEntryHeader header;
  header.crc = reader.read<std::uint32_t>();
  header.salt = reader.read<std::uint64_t>();
  header.sequence = reader.read<std::uint64_t>();
  header.predecessor = reader.read<std::uint32_t>();
  header.count = reader.read<std::uint32_t>();
  header.size = reader.read<std::uint64_t>();
  header.written_at = reader.read<std::int64_t>();
  reader.skip(16);
  if (!reader.ok() || magic != entry_magic) return std::nullopt;
  if (header.size == 0 || header.size % journal_block != 0) return std::nullopt;
  if (header.count > header.size / journal_item_size || header.table_size() > header.size)
    return std::nullopt;
  return header;
}

Result<std::vector<JournalItem>> decode_journal_items(const JournalEntryHeader& header,
                                                      Bytes table) {
  if (table.size() != header.table_size()) return fail(Errc::corrupt, "journal entry table is cut");
  if (checksum(table) != header.crc)
    return fail(Errc::corrupt, "journal entry {} has a wrong checksum", header.sequence);
  Reader reader(table.subspan(journal_entry_header_size));
  std::vector<JournalItem> items;
  items.reserve(header.count);
  std::uint64_t size = table.size();
  for (std::uint32_t i = 0; i < header.count; ++i) {
    items.push_back(read_item(reader));
    if (!is_known(items.back().kind))
      return fail(Errc::corrupt, "journal entry {} has an item of unknown kind", header.sequence);
    size += items.back().size;
  }
  if (round_up_to_block(size) != header.size)
    return fail(Errc::corrupt, "journal entry {} of {} bytes has items for {}", header.sequence,
                header.size, size);
  return items;
}

}  // namespace sluice::log
