#include "stream/settings.h"

#include <algorithm>
#include <array>
#include <limits>
#include <variant>

#include "base/nearest.h"
#include "base/units.h"

namespace sluice::stream {
namespace {

constexpr std::int64_t int32_max = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t int64_max = std::numeric_limits<std::int64_t>::max();
constexpr std::uint32_t partitions_max = 10'000;

// How a setting's text and the configuration belong together.
struct Number {
  std::int64_t StreamConfig::* field;
  std::int64_t min;
  std::int64_t max;
  bool minus_one;  // -1 is allowed beside the range: no limit, or the server's default
};
struct Flag {
  bool StreamConfig::* field;
};
struct Fixed {
  std::string_view value;  // the only one that is offered
};
struct CleanupPolicy {};  // StreamConfig::compact and expire, at least one of them

struct Row {
  std::string_view name;
  Setting::Type type;
  std::variant<Number, Flag, Fixed, CleanupPolicy> form;
  std::string_view text;
};

using enum Setting::Type;

constexpr std::array rows{
    Row{"retention.ms", int64, Number{&StreamConfig::retention_ms, 0, int64_max, true},
        "Records older than this many milliseconds may be deleted; -1: kept for ever"},
    Row{"retention.bytes", int64, Number{&StreamConfig::retention_bytes, 0, int64_max, true},
        "The oldest records may be deleted when the stream is larger, divided evenly over its "
        "partitions; -1: no limit"},
    Row{"segment.bytes", int32, Number{&StreamConfig::segment_bytes, 1 << 16, int32_max, true},
        "Size of a segment file, the unit of retention; -1: the server's setting"},
    Row{"segment.ms", int64, Number{&StreamConfig::segment_ms, 1, int64_max, false},
        "The next record begins a new segment file when the last one was begun longer ago"},
    Row{"max.message.bytes", int32, Number{&StreamConfig::max_message_bytes, 1, int32_max, false},
        "Largest record batch that is accepted"},
    Row{"sluice.wildcard", boolean, Flag{&StreamConfig::wildcard},
        "Whether MQTT filters whose first level is a wildcard cover the stream"},
    Row{"cleanup.policy", list, CleanupPolicy{},
        "delete: old segments are deleted; compact: the newest record of each key stays"},
    Row{"delete.retention.ms", int64,
        Number{&StreamConfig::delete_retention_ms, 0, int64_max, false},
        "How long a compacted stream keeps a record without a value, which deletes its key"},
    Row{"min.compaction.lag.ms", int64,
        Number{&StreamConfig::min_compaction_lag_ms, 0, int64_max, false},
        "Records younger than this are not compacted"},
    Row{"min.cleanable.dirty.ratio", string, Fixed{"0.5"},
        "A stream is compacted when this share of it is new since the last time"},
    Row{"compression.type", string, Fixed{"producer"}, "Batches are stored as they come"},
    Row{"message.timestamp.type", string, Fixed{"CreateTime"}, "Timestamps are the producer's"},
    Row{"min.insync.replicas", int32, Fixed{"1"}, "There is one copy, in the log's journal"},
};

const Row* find_row(std::string_view name) {
  const auto* const found = std::ranges::find(rows, name, &Row::name);
  return found == rows.end() ? nullptr : found;
}

std::string allowed(const Number& number) {
  return fmt::format("a whole number from {} to {}{}", number.min, number.max,
                     number.minus_one ? ", or -1" : "");
}

bool in_range(const Number& number, std::int64_t value) {
  return (value >= number.min && value <= number.max) || (number.minus_one && value == -1);
}

std::string_view policy_of(const StreamConfig& config) {
  if (!config.compact) return "delete";
  return config.expire ? "compact,delete" : "compact";
}

bool set_policy(StreamConfig& config, std::string_view value) {
  bool compact = false;
  bool expire = false;
  while (true) {
    const auto comma = value.find(',');
    const auto word = value.substr(0, comma);
    bool& named = word == "compact" ? compact : expire;
    if ((word != "compact" && word != "delete") || named) return false;
    named = true;
    if (comma == std::string_view::npos) break;
    value.remove_prefix(comma + 1);
  }
  config.compact = compact;
  config.expire = expire;
  return true;
}

// What apply_setting does for each form: whether `value` is allowed, and if so its place in
// `config`.
struct Apply {
  StreamConfig& config;
  std::string_view value;

  bool operator()(const Number& number) const {
    const auto parsed = parse_integer(value);
    if (!parsed || !in_range(number, *parsed)) return false;
    config.*number.field = *parsed;
    return true;
  }
  bool operator()(const Flag& flag) const {
    if (value != "true" && value != "false") return false;
    config.*flag.field = value == "true";
    return true;
  }
  bool operator()(const Fixed& fixed) const { return value == fixed.value; }
  bool operator()(const CleanupPolicy& /*policy*/) const { return set_policy(config, value); }
};

struct Allowed {
  std::string operator()(const Number& number) const { return allowed(number); }
  std::string operator()(const Flag& /*flag*/) const { return "true or false"; }
  std::string operator()(const Fixed& fixed) const { return fmt::format("\"{}\"", fixed.value); }
  std::string operator()(const CleanupPolicy& /*policy*/) const {
    return "\"delete\", \"compact\" or \"compact,delete\"";
  }
};

struct Show {
  const StreamConfig& config;

  std::string operator()(const Number& number) const {
    return std::to_string(config.*number.field);
  }
  std::string operator()(const Flag& flag) const { return config.*flag.field ? "true" : "false"; }
  std::string operator()(const Fixed& fixed) const { return std::string(fixed.value); }
  std::string operator()(const CleanupPolicy& /*policy*/) const {
    return std::string(policy_of(config));
  }
};

}  // namespace

Result<void> apply_setting(StreamConfig& config, std::string_view name, std::string_view value) {
  const Row* const row = find_row(name);
  if (row == nullptr) {
    std::array<std::string_view, rows.size()> names;
    std::ranges::transform(rows, names.begin(), &Row::name);
    const auto near = nearest(name, names);
    if (near.empty()) return fail(Errc::invalid, "unknown setting \"{}\"", name);
    return fail(Errc::invalid, "unknown setting \"{}\"; did you mean \"{}\"?", name, near);
  }
  if (!std::visit(Apply{config, value}, row->form)) {
    return fail(Errc::invalid, "setting {} = \"{}\": must be {}", name, value,
                std::visit(Allowed{}, row->form));
  }
  return {};
}

std::vector<Setting> settings_of(const StreamConfig& config, const StreamConfig& defaults) {
  std::vector<Setting> settings;
  settings.reserve(rows.size());
  for (const auto& row : rows) {
    auto value = std::visit(Show{config}, row.form);
    const bool is_default = value == std::visit(Show{defaults}, row.form);
    settings.push_back(
        {std::string(row.name), std::move(value), std::string(row.text), is_default, row.type});
  }
  return settings;
}

Result<void> validate_config(const StreamConfig& config) {
  if (config.partitions < 1 || config.partitions > partitions_max) {
    return fail(Errc::invalid, "{} partitions: must be from 1 to {}", config.partitions,
                partitions_max);
  }
  if (!config.compact && !config.expire)
    return fail(Errc::invalid, "setting cleanup.policy must hold delete, compact or both");
  for (const auto& row : rows) {
    const auto* const number = std::get_if<Number>(&row.form);
    if (number == nullptr || in_range(*number, config.*number->field)) continue;
    return fail(Errc::invalid, "setting {} = {}: must be {}", row.name, config.*number->field,
                allowed(*number));
  }
  return {};
}

}  // namespace sluice::stream
