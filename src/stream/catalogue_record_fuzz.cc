#include "stream/catalogue_record.h"

#include <cstdlib>

// Law: what is accepted means the same after it has been written anew.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  using namespace sluice::stream;
  const auto stream = decode_stream("name", std::as_bytes(std::span(data, size)));
  if (!stream) return 0;
  const auto block = encode_stream(*stream, 0);
  const auto again = decode_stream("name", block->value(block->records().front()));
  if (!again || again->id != stream->id || !(again->config == stream->config)) std::abort();
  return 0;
}
