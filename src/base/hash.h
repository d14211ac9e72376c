#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace sluice {

// Kafka's murmur2 (seed 0x9747b28c), as its default partitioner uses it; signed as Java prints it.
std::int32_t murmur2(Bytes key);
// The partition that Kafka's default partitioner gives a key: (murmur2(key) & 0x7fffffff) %
// partitions.
std::uint32_t partition_of_key(Bytes key, std::uint32_t partitions);

// CRC-32C (Castagnoli). crc32c_extend(crc32c(a), b) is the checksum of a followed by b.
std::uint32_t crc32c(Bytes bytes);
std::uint32_t crc32c_extend(std::uint32_t crc, Bytes bytes);

// A fast 64-bit hash for in-memory tables; not stable between versions, never written to disk.
// Where clients choose the keys, a random seed keeps them from choosing keys that collide.
std::uint64_t hash64(Bytes bytes, std::uint64_t seed = 0);

}  // namespace sluice
