// Law: what validates and indexes has all its positions inside the content, in offset order, as
// many as it says.

#include "log/record_batch.h"

#include <cstdlib>

#include "log/batch_layout.h"

using namespace sluice;
using namespace sluice::log;

namespace {

constexpr std::size_t expanded_max = 1 << 20;

void require(bool holds) {
  if (!holds) std::abort();
}

bool inside(const Block& block, std::uint32_t at, std::uint32_t size) {
  return std::uint64_t{at} + size <= block.content().size();
}

void check(Buffer bytes) {
  const auto header = validate_batch(bytes);
  if (!header) return;
  Block block(std::move(bytes));
  require(block.until() - block.from() == header->last_offset_delta + 1);
  if (!block.index_records(expanded_max)) {
    require(block.records().empty());
    return;
  }
  require(block.records().size() == static_cast<std::size_t>(header->record_count));
  std::int64_t last = -1;
  for (const Record& record : block.records()) {
    require(record.offset_delta > last &&
            std::int64_t{record.offset_delta} <= header->last_offset_delta);
    last = record.offset_delta;
    require(record.key_at == Record::none || inside(block, record.key_at, record.key_size));
    require(record.value_at == Record::none || inside(block, record.value_at, record.value_size));
    require(inside(block, record.headers_at, 0));
    std::uint32_t headers = 0;
    for_each_header(block, record, [&](const RecordHeader&) { ++headers; });
    require(headers == record.headers_count);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  Buffer bytes(begin, begin + size);
  check(bytes);
  if (bytes.size() < batch_header_size) return 0;
  // The same with length and checksum put right, so that mutations get further.
  store_be<std::int32_t>(bytes.data() + layout::batch_length,
                         static_cast<std::int32_t>(bytes.size() - batch_length_offset));
  store_be<std::int8_t>(bytes.data() + layout::magic, 2);
  seal_batch(bytes);
  check(std::move(bytes));
  return 0;
}
