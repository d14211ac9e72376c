#pragma once

#include <cstdint>
#include <cstdlib>
#include <ranges>

namespace sluice::sim {

// How many seeds a build has time for.
struct SeedCounts {
  std::uint64_t optimized, plain, sanitized;

  [[nodiscard]] std::uint64_t of_this_build() const;
};

// The seeds that a test by seed runs: from 1 on as many as the environment's SLUICE_SEEDS says,
// else as `counts`; or SLUICE_SEED alone, so that a failing one can be looked at.
inline auto seeds(const SeedCounts& counts) {
  const auto from_environment = [](const char* name, std::uint64_t otherwise) -> std::uint64_t {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
  };
  const std::uint64_t only = from_environment("SLUICE_SEED", 0);
  if (only != 0) return std::views::iota(only, only + 1);
  return std::views::iota(std::uint64_t{1},
                          1 + from_environment("SLUICE_SEEDS", counts.of_this_build()));
}

}  // namespace sluice::sim
