#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::cli {

// A place in a stream, as `sluice tail --from` and `sluice group reset --to` say it.
struct StartPoint {
  enum class Kind : std::uint8_t { earliest, latest, offset, time } kind = Kind::latest;
  std::int64_t value = 0;  // the offset, or milliseconds since 1970-01-01 UTC
};

// "earliest", "latest", an offset "1234", a time "2024-05-01T12:00:00Z" (UTC, RFC 3339), or how
// long ago: "10m".
Result<StartPoint> parse_start_point(std::string_view text, std::int64_t now_ms);

// RFC 3339 in UTC, with milliseconds.
std::string format_time(std::int64_t wall_ms);

}  // namespace sluice::cli
