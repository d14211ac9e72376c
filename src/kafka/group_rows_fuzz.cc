// Rows of the table `__groups`: what can be read says the same after it was written again.

#include <cstdlib>

#include "kafka/group_rows.h"

using namespace sluice;
using namespace sluice::kafka;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes in = std::as_bytes(std::span(data, size));
  if (const auto key = decode_group_row_key(as_text(in)); key && encode_key(*key) != as_text(in))
    std::abort();
  if (const auto row = decode_group_row(in); row && decode_group_row(encode_row(*row)) != *row)
    std::abort();
  if (const auto row = decode_offset_row(in); row && decode_offset_row(encode_row(*row)) != *row)
    std::abort();
  return 0;
}
