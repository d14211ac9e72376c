#include "sim/seeds.h"

namespace sluice::sim {

// Of what is tested: tests themselves are never optimized.
std::uint64_t SeedCounts::of_this_build() const {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return sanitized;
#elif defined(__OPTIMIZE__)
  return optimized;
#else
  return plain;
#endif
}

}  // namespace sluice::sim
