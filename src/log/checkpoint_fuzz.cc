// Law: a checkpoint that decodes survives being written and read again.

#include "log/checkpoint.h"

#include <cstdlib>

#include "base/hash.h"

using namespace sluice;
using namespace sluice::log;

namespace {

void check(const Buffer& bytes) {
  const auto decoded = decode_checkpoint(bytes);
  if (!decoded) return;
  CheckpointEncoder encoder(decoded->checkpoint);
  for (const PartitionState& state : decoded->partitions) encoder.add(state, state.end);
  const auto again = decode_checkpoint(encoder.finish());
  if (!again || again->partitions.size() != decoded->partitions.size()) std::abort();
  for (std::size_t i = 0; i < again->partitions.size(); ++i) {
    const PartitionState& a = decoded->partitions[i];
    const PartitionState& b = again->partitions[i];
    if (a.id != b.id || a.start != b.start || a.end != b.end ||
        a.segments.size() != b.segments.size() || !a.compaction != !b.compaction)
      std::abort();
    for (std::size_t s = 0; s < a.segments.size(); ++s)
      if (a.segments[s].id() != b.segments[s].id()) std::abort();
    if (a.compaction && (a.compaction->until != b.compaction->until ||
                         a.compaction->passes.size() != b.compaction->passes.size()))
      std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  Buffer bytes(begin, begin + size);
  check(bytes);
  if (bytes.size() < 8) return 0;
  // The same with the checksum put right, so that mutations get further.
  store_be<std::uint32_t>(bytes.data() + 4, crc32c(Bytes(bytes).subspan(8)));
  check(bytes);
  return 0;
}
