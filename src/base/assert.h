#pragma once

namespace sluice {
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);
}

// A bug, not bad input: stays on in release builds.
#define SLUICE_ASSERT(expr) \
  ((expr) ? void() : ::sluice::assertion_failed(#expr, __FILE__, __LINE__))
