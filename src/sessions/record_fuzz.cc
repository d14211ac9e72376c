// What decodes as a row is the same row when it is encoded again.
#include <cstdint>
#include <cstdlib>

#include "sessions/record.h"

using namespace sluice;

namespace {

template <class Row>
void expect_same(const Row& row, const Result<Row>& again) {
  if (!again || !(*again == row)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sessions;
  const Bytes bytes{reinterpret_cast<const std::byte*>(data), size};
  if (const auto meta = decode_meta(bytes)) expect_same(*meta, decode_meta(encode_meta(*meta)));
  if (const auto filter = decode_filter("a/b", bytes))
    expect_same(*filter, decode_filter("a/b", encode_filter(filter->uid, filter->value)));
  if (const auto progress = decode_progress(bytes))
    expect_same(*progress, decode_progress(encode_progress(progress->uid, progress->value)));
  if (const auto next = decode_evidence_position(bytes))
    expect_same(*next, decode_evidence_position(encode_evidence_position(*next)));
  if (const auto group = decode_group(bytes))
    expect_same(*group, decode_group(encode_group(*group)));
  if (const auto holder = decode_holder(bytes))
    expect_same(*holder, decode_holder(encode_holder(*holder)));
  static_cast<void>(client_in_meta_key(as_text(bytes)));
  static_cast<void>(partition_in_evidence_key(as_text(bytes)));
  return 0;
}
