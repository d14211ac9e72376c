#include "base/start_point.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <ctime>
#include <optional>

#include "base/units.h"

namespace sluice {
namespace {

using Kind = StartPoint::Kind;

constexpr std::int64_t first_microseconds = 1'000'000'000'000'000;  // in September 2001

// Splits digits off: at least `min` and at most `max` of them.
std::optional<std::int64_t> take_number(std::string_view& text, std::size_t min, std::size_t max) {
  std::size_t size = 0;
  while (size < std::min(text.size(), max) &&
         std::isdigit(static_cast<unsigned char>(text[size])) != 0)
    ++size;
  if (size < min) return std::nullopt;
  const auto number = parse_integer(text.substr(0, size));
  text.remove_prefix(size);
  return number ? std::optional(*number) : std::nullopt;
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

// ".123456" to milliseconds; 0 if there is no fraction.
std::optional<std::int64_t> take_fraction(std::string_view& text) {
  if (!take(text, '.')) return 0;
  const std::string_view digits = text;
  if (!take_number(text, 1, 9)) return std::nullopt;
  std::string ms(digits.substr(0, std::min<std::size_t>(digits.size() - text.size(), 3)));
  ms.resize(3, '0');
  return parse_integer(ms).value();
}

// "Z" or "+02:00", to milliseconds.
std::optional<std::int64_t> take_zone(std::string_view& text) {
  if (take(text, 'Z')) return 0;
  const bool west = text.starts_with('-');
  if (!west && !text.starts_with('+')) return std::nullopt;
  text.remove_prefix(1);
  const auto hours = take_number(text, 2, 2);
  if (!hours || !take(text, ':')) return std::nullopt;
  const auto minutes = take_number(text, 2, 2);
  if (!minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  return (west ? -1 : 1) * (*hours * 60 + *minutes) * 60'000;
}

// RFC 3339, section 5.6, to milliseconds since 1970.
std::optional<std::int64_t> parse_time(std::string_view text) {
  const std::string copy(text);
  std::tm parts{};
  const char* end = strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (end == nullptr) return std::nullopt;
  std::string_view rest = text.substr(static_cast<std::size_t>(end - copy.c_str()));
  const auto fraction = take_fraction(rest);
  const auto zone = fraction ? take_zone(rest) : std::nullopt;
  if (!zone || !rest.empty()) return std::nullopt;
  return static_cast<std::int64_t>(timegm(&parts)) * 1000 + *fraction - *zone;
}

StartPoint of_number(std::int64_t number) {
  if (number < first_microseconds) return {Kind::offset, number};
  return {Kind::time, number / 1000};
}

}  // namespace

Result<StartPoint> parse_start_point(std::string_view text, std::int64_t now_ms) {
  if (text == "earliest") return StartPoint{Kind::earliest};
  if (text == "latest") return StartPoint{Kind::latest};
  if (const auto number = parse_integer(text); number && *number >= 0) return of_number(*number);
  if (const auto ago = parse_duration(text)) return StartPoint{Kind::time, now_ms - ago->count()};
  if (const auto time = parse_time(text)) return StartPoint{Kind::time, *time};
  if (std::string_view rest = text; take(rest, '@'))
    if (const auto ms = parse_integer(rest); ms && *ms >= 0) return StartPoint{Kind::time, *ms};
  return fail(Errc::invalid,
              "'{}' is none of: earliest, latest, an offset, a time such as "
              "2024-05-01T12:00:00Z or @1714564800000 (milliseconds), how long ago "
              "such as 10m",
              text);
}

std::string format_time(std::int64_t wall_ms) {
  const std::time_t seconds = wall_ms / 1000;
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(seconds), wall_ms % 1000);
}

}  // namespace sluice
