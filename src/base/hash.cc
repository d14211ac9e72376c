#include "base/hash.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

#include <isa-l/crc.h>

#include <algorithm>
#include <climits>
#include <cstring>

#include "base/assert.h"

namespace sluice {
namespace {

template <class T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

// Both halves of the 128-bit product: every input bit reaches every output bit.
std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  const auto product = static_cast<__uint128_t>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

constexpr std::uint64_t hash_a = 0xa0761d6478bd642full;
constexpr std::uint64_t hash_b = 0xe7037ed1a0b428dbull;
constexpr std::uint64_t hash_c = 0x8ebc6af09c88c6e3ull;

}  // namespace

std::int32_t murmur2(Bytes key) {
  constexpr std::uint32_t m = 0x5bd1e995;
  std::uint32_t h = 0x9747b28cu ^ static_cast<std::uint32_t>(key.size());
  const std::byte* at = key.data();
  std::size_t left = key.size();
  for (; left >= 4; at += 4, left -= 4) {
    std::uint32_t k = load<std::uint32_t>(at) * m;
    k ^= k >> 24;
    h = (h * m) ^ (k * m);
  }
  if (left > 0) {
    for (std::size_t i = 0; i < left; ++i) h ^= std::to_integer<std::uint32_t>(at[i]) << (8 * i);
    h *= m;
  }
  h ^= h >> 13;
  h *= m;
  h ^= h >> 15;
  return static_cast<std::int32_t>(h);
}

std::uint32_t partition_of_key(Bytes key, std::uint32_t partitions) {
  SLUICE_ASSERT(partitions > 0);
  return (static_cast<std::uint32_t>(murmur2(key)) & 0x7fffffffu) % partitions;
}

// The widest kernels of ISA-L return with the upper halves of the vector registers in use. Code
// compiled for plain SSE2, all of ours, then waits for registers it does not want: measured, twice
// the time per message.
#ifdef __x86_64__
namespace {
[[gnu::target("avx")]] void clear_upper_halves() {
  static const bool has_avx = __builtin_cpu_supports("avx");
  if (has_avx) _mm256_zeroupper();
}
}  // namespace
#else
static void clear_upper_halves() {}
#endif

std::uint32_t crc32c(Bytes bytes) { return crc32c_extend(0, bytes); }

// ISA-L works on the raw register: it neither inverts the start value nor the result, counts in int
// and lacks a const.
std::uint32_t crc32c_extend(std::uint32_t crc, Bytes bytes) {
  std::uint32_t state = ~crc;
  while (!bytes.empty()) {
    const auto piece = bytes.first(std::min<std::size_t>(bytes.size(), INT_MAX));
    auto* data = reinterpret_cast<unsigned char*>(const_cast<std::byte*>(piece.data()));
    state = crc32_iscsi(data, static_cast<int>(piece.size()), state);
    bytes = bytes.subspan(piece.size());
  }
  clear_upper_halves();
  return ~state;
}

// The scheme of wyhash: multiply pairs of words, each masked by a constant. The last 16 bytes are
// read with overlap.
std::uint64_t hash64(Bytes bytes, std::uint64_t seed) {
  const std::byte* at = bytes.data();
  const std::size_t size = bytes.size();
  seed ^= hash_c;
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  if (size > 16) {
    std::size_t left = size;
    for (; left > 16; at += 16, left -= 16) {
      seed = mix(load<std::uint64_t>(at) ^ hash_a, load<std::uint64_t>(at + 8) ^ seed);
    }
    a = load<std::uint64_t>(at + left - 16);
    b = load<std::uint64_t>(at + left - 8);
  } else if (size >= 8) {
    a = load<std::uint64_t>(at);
    b = load<std::uint64_t>(at + size - 8);
  } else if (size >= 4) {
    a = load<std::uint32_t>(at);
    b = load<std::uint32_t>(at + size - 4);
  } else if (size > 0) {
    a = std::to_integer<std::uint64_t>(at[0]) << 16 |
        std::to_integer<std::uint64_t>(at[size / 2]) << 8 |
        std::to_integer<std::uint64_t>(at[size - 1]);
  }
  return mix(hash_b ^ size, mix(a ^ hash_a, b ^ seed));
}

}  // namespace sluice
