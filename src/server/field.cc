// The types of settings: reading, writing and describing a value.

#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "server/options.h"

namespace sluice::server {
namespace {

constexpr std::string_view automatic = "auto";
constexpr std::string_view off = "off";

template <class... Fns>
struct Overloaded : Fns... {
  using Fns::operator()...;
};

// `parsed` if it lies in the field's range.
template <class T, class ValueField>
Result<void> assign(const ValueField& field, const Result<T>& parsed, std::string_view text) {
  if (!parsed) return std::unexpected(parsed.error());
  if (*parsed < field.min || *parsed > field.max)
    return fail(Errc::invalid, "'{}' is out of range: {}", text, range_text(field));
  *field.value = *parsed;
  return {};
}

Result<void> set(const TextField& field, std::string_view text) {
  *field.value = text;
  return {};
}

Result<void> set(const BoolField& field, std::string_view text) {
  if (text != "true" && text != "false")
    return fail(Errc::invalid, "'{}' is neither true nor false", text);
  *field.value = text == "true";
  return {};
}

Result<void> set(const IntegerField& field, std::string_view text) {
  if (field.may_be_auto && text == automatic) {
    *field.value = 0;
    return {};
  }
  return assign(field, parse_integer(text), text);
}

Result<void> set(const SizeField& field, std::string_view text) {
  return assign(field, parse_size(text), text);
}
Result<void> set(const DurationField& field, std::string_view text) {
  return assign(field, parse_duration(text), text);
}

Result<void> set(const ChoiceField& field, std::string_view text) {
  if (std::ranges::find(field.choices, text) == field.choices.end())
    return fail(Errc::invalid, "'{}' is none of: {}", text, fmt::join(field.choices, ", "));
  *field.value = text;
  return {};
}

Result<void> set(const PortField& field, std::string_view text) {
  if (text == off) {
    *field.value = std::nullopt;
    return {};
  }
  const auto number = parse_integer(text);
  if (!number || *number < 0 || *number > 65535)
    return fail(Errc::invalid, "'{}' is no port: 1 to 65535, 0 for any free one, or off", text);
  *field.value = static_cast<std::uint16_t>(*number);
  return {};
}

}  // namespace

Result<void> set_field(const Field& field, std::string_view text) {
  return std::visit([text](const auto& f) { return set(f, text); }, field);
}

std::string format_field(const Field& field) {
  return std::visit(Overloaded{
                        [](const TextField& f) { return *f.value; },
                        [](const BoolField& f) { return std::string(*f.value ? "true" : "false"); },
                        [](const IntegerField& f) {
                          return f.may_be_auto && *f.value == 0 ? std::string(automatic)
                                                                : std::to_string(*f.value);
                        },
                        [](const SizeField& f) { return format_size(*f.value); },
                        [](const DurationField& f) { return format_duration(*f.value); },
                        [](const ChoiceField& f) { return *f.value; },
                        [](const PortField& f) {
                          return *f.value ? std::to_string(**f.value) : std::string(off);
                        },
                    },
                    field);
}

bool is_quoted_in_toml(const Field& field) {
  if (std::holds_alternative<BoolField>(field)) return false;
  // Digits that are no number: a mode, such as 0660.
  if (std::holds_alternative<TextField>(field) || std::holds_alternative<ChoiceField>(field))
    return true;
  return !parse_integer(format_field(field));
}

std::string type_name(const Field& field) {
  return std::visit(Overloaded{
                        [](const TextField&) { return "text"; },
                        [](const BoolField&) { return "boolean"; },
                        [](const IntegerField&) { return "integer"; },
                        [](const SizeField&) { return "size"; },
                        [](const DurationField&) { return "duration"; },
                        [](const ChoiceField&) { return "choice"; },
                        [](const PortField&) { return "port"; },
                    },
                    field);
}

std::string range_text(const Field& field) {
  return std::visit(
      Overloaded{
          [](const IntegerField& f) {
            return fmt::format("{} to {}{}", f.min, f.max, f.may_be_auto ? " or auto" : "");
          },
          [](const SizeField& f) {
            return fmt::format("{} to {}", format_size(f.min), format_size(f.max));
          },
          [](const DurationField& f) {
            return fmt::format("{} to {}", format_duration(f.min), format_duration(f.max));
          },
          [](const ChoiceField& f) { return fmt::format("{}", fmt::join(f.choices, ", ")); },
          [](const auto&) { return std::string(); },
      },
      field);
}

}  // namespace sluice::server
