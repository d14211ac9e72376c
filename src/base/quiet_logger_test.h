#pragma once

#include "base/logger.h"

namespace sluice {

// Nothing is logged while it lives: for tests of what goes wrong.
struct QuietLogger {
  QuietLogger() { Logger::set_level(LogLevel::off); }
  ~QuietLogger() { Logger::set_level(LogLevel::info); }
  QuietLogger(const QuietLogger&) = delete;
  QuietLogger& operator=(const QuietLogger&) = delete;
};

}  // namespace sluice
