#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace sluice::log {

// A set of keys that may say yes wrongly, for about one key in a hundred, and never no: a blocked
// Bloom filter (Putze, Sanders and Singler, "Cache-, Hash- and Space-Efficient Bloom Filters",
// 2007). All bits of a key lie in one block of 64 bytes. The bytes are the format
// (docs/formats/key-index.md).
namespace key_filter {

constexpr std::size_t block_size = 64;

// Bytes for so many keys, about ten bits for each: whole blocks.
std::size_t size_for(std::size_t keys);
// `filter` consists of whole blocks, at least one.
void add(MutableBytes filter, Bytes key);
// True where there is no block.
bool may_hold(Bytes filter, Bytes key);

}  // namespace key_filter
}  // namespace sluice::log
