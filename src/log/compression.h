#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "log/record_batch.h"

namespace sluice::log {

// Decompresses the records of a batch: gzip, snappy (raw or xerial-framed as Java clients write
// it), lz4 frame, zstd. Errc::too_large when it would pass `size_max` bytes, Errc::malformed when
// the data is damaged.
Result<Buffer> decompress(Compression codec, Bytes data, std::size_t size_max);

// The way back, as Java's clients can read it: xerial-framed snappy, lz4 frames of independent
// blocks. Errc::io when a library refuses.
Result<Buffer> compress(Compression codec, Bytes data);

}  // namespace sluice::log
