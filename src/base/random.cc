#include "base/random.h"

#include <sys/random.h>

#include "base/assert.h"

namespace sluice {

Random Random::from_os() {
  std::uint64_t seed = 0;
  SLUICE_ASSERT(::getrandom(&seed, sizeof seed, 0) == sizeof seed);
  return Random(seed);
}

}  // namespace sluice
