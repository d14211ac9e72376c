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

// What a source says of one setting.
struct Assignment {
  std::string name;
  std::string value;
  std::string origin;
  std::string place;             // for error texts
  Errc wrong = Errc::malformed;  // the source, or its usage
};

Result<void> apply(Settings& settings, const Assignment& assignment) {
  const auto apply_value = [&]() -> Result<void> {
    SLUICE_TRY_ASSIGN(const Setting setting, find_setting(settings.config, assignment.name));
    auto done = set_field(setting.field, assignment.value);
    if (!done) return std::unexpected(done.error().context(assignment.name));
    settings.origins[setting.name] = assignment.origin;
    return {};
  };
  auto done = apply_value();
  if (!done) return fail(assignment.wrong, "{}: {}", assignment.place, done.error().text);
  return {};
}

Result<void> read_file(const std::string& path, std::vector<Assignment>& out) {
  SLUICE_TRY_ASSIGN(auto values, read_config_file(path));
  for (FileValue& value : values) {
    const std::string place = fmt::format("{}:{}", path, value.line);
    out.push_back({std::move(value.name), std::move(value.text), place, place});
  }
  return {};
}

// "SLUICE_MQTT__PACKET_MAX" -> "mqtt.packet_max"; "SLUICE_MQTT__LISTENER__EDGE__PORT"
std::string setting_name(std::string_view variable) {
  std::string name(variable.substr(environment_prefix.size()));
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (std::size_t at = 0; (at = name.find("__", at)) != std::string::npos; ++at)
    name.replace(at, 2, 1, '.');
  return name;
}

Assignment read_variable(const std::string& variable, const std::string& value) {
  return {setting_name(variable), value, variable, "environment variable " + variable};
}

Result<Assignment> read_flag(std::string_view flag) {
  const std::size_t equals = flag.find('=');
  if (equals == std::string_view::npos)
    return fail(Errc::invalid, "--set: '{}' is no section.key=value", flag);
  return Assignment{std::string(flag.substr(0, equals)), std::string(flag.substr(equals + 1)),
                    "--set", "--set", Errc::invalid};
}

// All that sources say, the weaker first.
Result<std::vector<Assignment>> read_sources(const Sources& sources) {
  std::vector<Assignment> assignments;
  if (sources.file) SLUICE_TRY(read_file(*sources.file, assignments));
  for (const auto& [variable, value] : sources.environment)
    assignments.push_back(read_variable(variable, value));
  for (const std::string& flag : sources.assignments) {
    SLUICE_TRY_ASSIGN(Assignment assignment, read_flag(flag));
    assignments.push_back(std::move(assignment));
  }
  return assignments;
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
  for (const Setting& setting : all_settings(settings.config))
    SLUICE_TRY(set_field(setting.field, setting.default_value));
  SLUICE_TRY_ASSIGN(const auto assignments, read_sources(sources));
  // A listener begins with what [mqtt] says in the end.
  for (const bool of_listeners : {false, true})
    for (const Assignment& assignment : assignments)
      if (is_of_listener(assignment.name) == of_listeners) SLUICE_TRY(apply(settings, assignment));
  for (const Setting& setting : all_settings(settings.config))
    settings.origins.try_emplace(setting.name,
                                 setting.inherited ? setting.default_value : "default");
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
  std::string section;
  for (const Setting& setting : all_settings(settings.config)) {
    const std::size_t dot = setting.name.rfind('.');
    const std::string its_section = setting.name.substr(0, dot);
    if (its_section != section) {
      out += fmt::format("{}[{}]\n", section.empty() ? "" : "\n", its_section);
      section = its_section;
    }
    out += fmt::format("{} = {}  # {}\n", setting.name.substr(dot + 1), toml_value(setting.field),
                       settings.origins[setting.name]);
  }
  return out;
}

Result<std::string> explain(const Settings& settings, std::string_view name) {
  Config config = settings.config;  // a listener that is only asked about is made in it
  const auto setting = find_setting(config, name);
  if (!setting) return fail(Errc::invalid, "{}", setting.error().text);
  const std::string range = range_text(setting->field);
  const std::string default_value = setting->inherited
                                        ? fmt::format("that of {}", setting->default_value)
                                        : setting->default_value;
  const std::string value = format_field(setting->field);
  const auto origin = settings.origins.find(name);
  return fmt::format(
      "{}: {}\n\n"
      "type         {}{}\n"
      "default      {}\n"
      "environment  {}\n"
      "value        {}  ({})\n",
      setting->name, setting->text, type_name(setting->field),
      range.empty() ? "" : fmt::format(", {}", range),
      default_value.empty() ? "(empty)" : default_value, environment_name(setting->name),
      value.empty() ? "(empty)" : value,
      origin == settings.origins.end() ? "default" : origin->second);
}

}  // namespace sluice::server
