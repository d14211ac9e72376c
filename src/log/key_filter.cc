#include "log/key_filter.h"

#include "base/hash.h"

namespace sluice::log::key_filter {
namespace {

constexpr std::size_t bits_per_key = 10;
constexpr std::uint32_t probes = 6;
constexpr std::uint32_t block_bits = block_size * 8;

// Where the bits of a key are: those of a number in one block.
struct Places {
  Places(Bytes key, std::size_t filter_size) {
    // A checksum spreads keys badly over its high bits, so it is multiplied twice; it is stable,
    // as hash64 is not.
    const std::uint64_t hash = (std::uint64_t{crc32c(key)} + 1) * 0x9e3779b97f4a7c15ull;
    block = static_cast<std::size_t>(((hash >> 32) * (filter_size / block_size)) >> 32);
    bits = (hash ^ (hash >> 29)) * 0xbf58476d1ce4e5b9ull;
  }
  // The next bit, as a number in the block.
  std::size_t next() {
    const auto bit = static_cast<std::size_t>(bits % block_bits);
    bits /= block_bits;
    return bit;
  }

  std::size_t block = 0;
  std::uint64_t bits = 0;  // nine for each probe
};

}  // namespace

std::size_t size_for(std::size_t keys) {
  return (keys * bits_per_key + block_bits - 1) / block_bits * block_size;
}

void add(MutableBytes filter, Bytes key) {
  Places places(key, filter.size());
  const MutableBytes block = filter.subspan(places.block * block_size, block_size);
  for (std::uint32_t i = 0; i < probes; ++i) {
    const std::size_t bit = places.next();
    block[bit / 8] |= std::byte{1} << (bit % 8);
  }
}

bool may_hold(Bytes filter, Bytes key) {
  if (filter.size() < block_size) return true;
  Places places(key, filter.size());
  const Bytes block = filter.subspan(places.block * block_size, block_size);
  for (std::uint32_t i = 0; i < probes; ++i) {
    const std::size_t bit = places.next();
    if ((block[bit / 8] & (std::byte{1} << (bit % 8))) == std::byte{}) return false;
  }
  return true;
}

}  // namespace sluice::log::key_filter
