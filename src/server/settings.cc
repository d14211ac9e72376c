#include "server/settings.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>

#include "server/config_checks.h"
#include "server/config_file.h"

namespace sluice::server {
namespace {

constexpr std::string_view environment_prefix = "SLUICE_";

Result<void> apply(Settings& settings, std::string_view name, std::string_view value,
                   std::string origin) {
  const Option* option = find_option(name);
  if (option == nullptr)
    return fail(Errc::not_found, "unknown setting '{}'{}", name, nearest_option(name));
  auto done = set_field(option->field(settings.config), value);
  if (!done) return std::unexpected(done.error().context(name));
  settings.origins[option->name] = std::move(origin);
  return {};
}

Result<void> apply_file(Settings& settings, const std::string& path) {
  SLUICE_TRY_ASSIGN(const auto values, read_config_file(path));
  for (const FileValue& value : values) {
    const std::string place = fmt::format("{}:{}", path, value.line);
    auto done = apply(settings, value.name, value.text, place);
    if (!done) return fail(Errc::malformed, "{}: {}", place, done.error().text);
  }
  return {};
}

// "SLUICE_MQTT__PACKET_MAX" -> "mqtt.packet_max"
std::string setting_name(std::string_view variable) {
  std::string name(variable.substr(environment_prefix.size()));
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (const std::size_t at = name.find("__"); at != std::string::npos) name.replace(at, 2, 1, '.');
  return name;
}

Result<void> apply_environment(Settings& settings, std::string_view variable,
                               std::string_view value) {
  auto done = apply(settings, setting_name(variable), value, std::string(variable));
  if (!done)
    return fail(Errc::malformed, "environment variable {}: {}", variable, done.error().text);
  return {};
}

Result<void> apply_assignment(Settings& settings, std::string_view assignment) {
  const std::size_t equals = assignment.find('=');
  if (equals == std::string_view::npos)
    return fail(Errc::invalid, "--set: '{}' is no section.key=value", assignment);
  auto done = apply(settings, assignment.substr(0, equals), assignment.substr(equals + 1), "--set");
  if (!done) return fail(Errc::invalid, "--set: {}", done.error().text);
  return {};
}

std::string toml_value(const Field& field) {
  std::string text = format_field(field);
  if (!is_quoted_in_toml(field)) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

}  // namespace

Result<Settings> load_settings(const Sources& sources) {
  Settings settings;
  for (const Option& option : options())
    SLUICE_TRY(apply(settings, option.name, option.default_value, "default"));
  if (sources.file) SLUICE_TRY(apply_file(settings, *sources.file));
  for (const auto& [variable, value] : sources.environment)
    SLUICE_TRY(apply_environment(settings, variable, value));
  for (const std::string& assignment : sources.assignments)
    SLUICE_TRY(apply_assignment(settings, assignment));
  SLUICE_TRY(check_config(settings.config));
  return settings;
}

std::vector<std::pair<std::string, std::string>> sluice_environment() {
  std::vector<std::pair<std::string, std::string>> out;
  for (char** at = environ; *at != nullptr; ++at) {
    const std::string_view variable(*at);
    const std::size_t equals = variable.find('=');
    if (!variable.starts_with(environment_prefix) || equals == std::string_view::npos) continue;
    const std::string_view name = variable.substr(0, equals);
    if (name.find("__") != std::string_view::npos)
      out.emplace_back(name, variable.substr(equals + 1));
  }
  return out;
}

std::string dump(Settings& settings) {
  std::string out;
  std::string_view section;
  for (const Option& option : options()) {
    const std::size_t dot = option.name.find('.');
    if (option.name.substr(0, dot) != section) {
      out += fmt::format("{}[{}]\n", section.empty() ? "" : "\n", option.name.substr(0, dot));
      section = option.name.substr(0, dot);
    }
    out += fmt::format("{} = {}  # {}\n", option.name.substr(dot + 1),
                       toml_value(option.field(settings.config)), settings.origins[option.name]);
  }
  return out;
}

Result<std::string> explain(Settings& settings, std::string_view name) {
  const Option* option = find_option(name);
  if (option == nullptr)
    return fail(Errc::invalid, "unknown setting '{}'{}", name, nearest_option(name));
  const Field field = option->field(settings.config);
  const std::string range = range_text(field);
  return fmt::format(
      "{}: {}\n\n"
      "type         {}{}\n"
      "default      {}\n"
      "environment  {}\n"
      "value        {}  ({})\n",
      option->name, option->text, type_name(field), range.empty() ? "" : fmt::format(", {}", range),
      option->default_value.empty() ? "(empty)" : option->default_value, environment_name(*option),
      format_field(field).empty() ? "(empty)" : format_field(field),
      settings.origins[option->name]);
}

}  // namespace sluice::server
