// Law: an entry that decodes is encoded to the same bytes, and its items fit in its size.

#include "log/journal_format.h"

#include <algorithm>
#include <cstdlib>

#include "base/hash.h"

using namespace sluice;
using namespace sluice::log;

namespace {

void check(const Buffer& bytes) {
  (void)decode_journal_file_header(bytes);
  const auto header = decode_journal_entry_header(bytes);
  if (!header || bytes.size() < header->table_size()) return;
  const Bytes table = Bytes(bytes).first(header->table_size());
  const auto items = decode_journal_items(*header, table);
  if (!items) return;
  std::uint64_t size = header->table_size();
  for (const JournalItem& item : *items) size += item.size;
  if (size > header->size || header->size - size >= journal_block) std::abort();
  Buffer again;
  encode_journal_entry(*header, *items, again);
  const auto meaningful = [](const Buffer& encoded) {
    return decode_journal_entry_header(encoded)->sequence;
  };
  if (again.size() != table.size() || meaningful(again) != header->sequence) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  Buffer bytes(begin, begin + size);
  check(bytes);
  // The same with the checksum put right, so that mutations get further.
  const auto header = decode_journal_entry_header(bytes);
  if (!header || bytes.size() < header->table_size()) return 0;
  constexpr std::size_t covered = 8;
  store_be<std::uint32_t>(bytes.data() + 4,
                          crc32c(Bytes(bytes).subspan(covered, header->table_size() - covered)));
  check(bytes);
  return 0;
}
