#pragma once

#include <cstdint>

namespace sluice {

// SplitMix64: small, fast, repeatable by seed. Not for secrets; salts and ids seed it from the
// operating system.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  static Random from_os();

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  // Uniform in [0, bound); bound > 0.
  std::uint64_t below(std::uint64_t bound) {
    return static_cast<std::uint64_t>((static_cast<__uint128_t>(next()) * bound) >> 64);
  }
  bool one_in(std::uint64_t n) { return below(n) == 0; }

 private:
  std::uint64_t state_;
};

}  // namespace sluice
