#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice {

// Amounts as people write them in settings and on the command line. A number and a unit, no space,
// no sign, no fraction; errors are Errc::invalid and say what is expected.

// Bytes: "4096", "16KiB", "64MiB", "10GiB", "1TiB".
Result<std::uint64_t> parse_size(std::string_view text);
// The largest unit that divides it: "64MiB".
std::string format_size(std::uint64_t bytes);

// "250ms", "10s", "5m", "12h", "7d".
Result<std::chrono::milliseconds> parse_duration(std::string_view text);
std::string format_duration(std::chrono::milliseconds duration);

// A whole decimal number, nothing before or after it.
Result<std::int64_t> parse_integer(std::string_view text);

}  // namespace sluice
