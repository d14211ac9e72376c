#include "base/units.h"

#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <span>

namespace sluice {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t factor;
};

constexpr std::array size_units = {Unit{"", 1}, Unit{"KiB", 1ll << 10}, Unit{"MiB", 1ll << 20},
                                   Unit{"GiB", 1ll << 30}, Unit{"TiB", 1ll << 40}};
constexpr std::array duration_units = {Unit{"ms", 1}, Unit{"s", 1000}, Unit{"m", 60'000},
                                       Unit{"h", 3'600'000}, Unit{"d", 86'400'000}};

// No value: not a number followed by one of the units, or too large.
std::optional<std::int64_t> parse_amount(std::string_view text, std::span<const Unit> units) {
  std::int64_t number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || number < 0) return std::nullopt;
  const std::string_view name(rest, static_cast<std::size_t>(text.data() + text.size() - rest));
  for (const Unit& unit : units) {
    if (unit.name != name) continue;
    if (number > std::numeric_limits<std::int64_t>::max() / unit.factor) return std::nullopt;
    return number * unit.factor;
  }
  return std::nullopt;
}

std::string format_amount(std::int64_t amount, std::span<const Unit> units) {
  const Unit* best = units.data();
  for (const Unit& unit : units)
    if (amount != 0 && amount % unit.factor == 0) best = &unit;
  return fmt::format("{}{}", amount / best->factor, best->name);
}

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  const auto bytes = parse_amount(text, size_units);
  if (!bytes)
    return fail(Errc::invalid,
                "'{}' is not a size; give bytes or a unit, such as 4096, 16KiB, 64MiB, 10GiB",
                text);
  return static_cast<std::uint64_t>(*bytes);
}

std::string format_size(std::uint64_t bytes) {
  return format_amount(static_cast<std::int64_t>(bytes), size_units);
}

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  const auto ms = parse_amount(text, duration_units);
  if (!ms)
    return fail(Errc::invalid,
                "'{}' is not a duration; give a number and a unit, such as 250ms, 10s, 5m, 12h, 7d",
                text);
  return std::chrono::milliseconds(*ms);
}

std::string format_duration(std::chrono::milliseconds duration) {
  return format_amount(duration.count(), duration_units);
}

Result<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || rest != text.data() + text.size())
    return fail(Errc::invalid, "'{}' is not a whole number", text);
  return number;
}

}  // namespace sluice
