#include "cli/start_point.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>
#include <optional>
#include <string>

#include "base/units.h"

namespace sluice::cli {
namespace {

std::optional<std::int64_t> parse_utc(std::string_view text) {
  const std::string copy(text);
  std::tm parts{};
  const char* end = strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return static_cast<std::int64_t>(timegm(&parts)) * 1000;
}

}  // namespace

Result<StartPoint> parse_start_point(std::string_view text, std::int64_t now_ms) {
  using Kind = StartPoint::Kind;
  if (text == "earliest") return StartPoint{Kind::earliest};
  if (text == "latest") return StartPoint{Kind::latest};
  if (const auto offset = parse_integer(text); offset && *offset >= 0)
    return StartPoint{Kind::offset, *offset};
  if (const auto ago = parse_duration(text)) return StartPoint{Kind::time, now_ms - ago->count()};
  if (const auto time = parse_utc(text)) return StartPoint{Kind::time, *time};
  return fail(Errc::invalid,
              "'{}' is none of: earliest, latest, an offset, a time such as "
              "2024-05-01T12:00:00Z, how long ago "
              "such as 10m",
              text);
}

std::string format_time(std::int64_t wall_ms) {
  const std::time_t seconds = wall_ms / 1000;
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(seconds), wall_ms % 1000);
}

}  // namespace sluice::cli
