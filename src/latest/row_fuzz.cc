// What decodes as a row is the same row when it is encoded again, and makes a record of a batch
// that can be read back.
#include <cstdint>
#include <cstdlib>

#include "latest/row.h"
#include "log/record_batch.h"

using namespace sluice;

namespace {

bool same(const latest::Row& a, const latest::Row& b) {
  return a.version == b.version && a.timestamp == b.timestamp && a.flags == b.flags &&
         a.headers_count == b.headers_count && as_text(a.headers) == as_text(b.headers) &&
         as_text(a.value) == as_text(b.value);
}

void check_row(const latest::Row& row) {
  const Buffer again = latest::encode_row(row);
  const auto decoded = latest::decode_row(again);
  if (!decoded || !same(*decoded, row)) std::abort();
  static_cast<void>(latest::publisher_of(row));
  static_cast<void>(latest::expires_at(row));

  log::BatchBuilder builder;
  builder.add(row.timestamp, {.key = as_bytes("a/b"),
                              .value = row.value,
                              .headers = row.headers,
                              .headers_count = row.headers_count,
                              .flags = row.flags});
  const auto built = builder.finish();
  const log::Block parsed{Buffer(built->bytes().begin(), built->bytes().end())};
  if (!parsed.index_records(0) || parsed.records().size() != 1) std::abort();
  if (as_text(parsed.value(parsed.records()[0])) != as_text(row.value)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes{reinterpret_cast<const std::byte*>(data), size};
  if (const auto row = latest::decode_row(bytes)) check_row(*row);
  if (const auto position = latest::decode_position(bytes)) {
    const auto again = latest::decode_position(latest::encode_position(*position));
    if (!again || *again != *position) std::abort();
  }
  static_cast<void>(latest::partition_in(as_text(bytes)));
  return 0;
}
