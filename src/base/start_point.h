#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice {

// A place in a stream, as people and MQTT clients say it.
struct StartPoint {
  enum class Kind : std::uint8_t { earliest, latest, offset, time } kind = Kind::latest;
  std::int64_t value = 0;  // the offset, or milliseconds since 1970-01-01 UTC
  friend bool operator==(const StartPoint&, const StartPoint&) = default;
};

// "earliest", "latest", an offset "1234", a time "2024-05-01T12:00:00Z" (RFC 3339, also with a
// fraction and an offset from UTC) or "@1714564800000" (milliseconds since 1970), or how long ago:
// "10m". A number from 10^15 on is no offset but microseconds since 1970, as EMQX has it for MQTT
// streams. Errc::invalid names the text and says what it could be.
Result<StartPoint> parse_start_point(std::string_view text, std::int64_t now_ms);

// RFC 3339 in UTC, with milliseconds.
std::string format_time(std::int64_t wall_ms);

}  // namespace sluice
