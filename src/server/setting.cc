// Settings by name.

#include <algorithm>
#include <cctype>
#include <ranges>

#include "base/assert.h"
#include "base/nearest.h"
#include "server/options.h"

namespace sluice::server {
namespace {

constexpr std::string_view listener_prefix = "mqtt.listener.";
constexpr std::string_view limit_prefix = "mqtt.";
constexpr std::size_t listener_name_max = 32;

std::string_view key_of(const Option& option) { return option.name.substr(limit_prefix.size()); }

auto unknown(std::string_view name, std::span<const std::string_view> known,
             std::string_view known_prefix) {
  const std::string_view guess = nearest(name.substr(known_prefix.size()), known);
  if (guess.empty()) return fail(Errc::not_found, "unknown setting '{}'", name);
  return fail(Errc::not_found, "unknown setting '{}'; did you mean '{}{}'?", name, known_prefix,
              guess);
}

Setting setting_of(const Option& option, Config& config) {
  return {.name = std::string(option.name),
          .default_value = std::string(option.default_value),
          .text = option.text,
          .field = option.field(config)};
}

// --- of listeners

// All that a listener may have.
std::vector<Setting> settings_of(std::string_view name, Config::MqttListener& listener) {
  std::vector<Setting> settings;
  const auto full_name = [&](std::string_view key) {
    return fmt::format("{}{}.{}", listener_prefix, name, key);
  };
  for (const ListenerOption& option : listener_options())
    settings.push_back({.name = full_name(option.key),
                        .default_value = std::string(option.default_value),
                        .text = option.text,
                        .field = option.field(listener)});
  for (const Option& option : options())
    if (option.listener_field != nullptr)
      settings.push_back({.name = full_name(key_of(option)),
                          .default_value = std::string(option.name),
                          .text = option.text,
                          .field = option.listener_field(listener),
                          .inherited = true});
  return settings;
}

Config::MqttListener new_listener(const Config& config) {
  Config::MqttListener listener{};
  for (const ListenerOption& option : listener_options()) {
    const auto done = set_field(option.field(listener), option.default_value);
    SLUICE_ASSERT(done.has_value());
  }
  listener.limits = config.mqtt.limits;
  return listener;
}

bool is_listener_name(std::string_view name) {
  const auto allowed = [](unsigned char c) {
    return (std::isalnum(c) != 0 && std::isupper(c) == 0) || c == '-' || c == '_';
  };
  // A double underscore would part section and key in an environment variable.
  return !name.empty() && name.size() <= listener_name_max && std::ranges::all_of(name, allowed) &&
         name.find("__") == std::string_view::npos;
}

Result<Setting> find_of_listener(Config& config, std::string_view name) {
  const std::string_view rest = name.substr(listener_prefix.size());
  const std::string_view listener_name = rest.substr(0, rest.find('.'));
  if (!is_listener_name(listener_name))
    return fail(
        Errc::invalid,
        "'{}': a listener's name is 1 to {} of a to z, 0 to 9, - and _ (not twice in a row)", name,
        listener_name_max);
  const auto listener =
      config.mqtt.listeners.try_emplace(std::string(listener_name), new_listener(config)).first;
  auto settings = settings_of(listener_name, listener->second);
  const auto found = std::ranges::find(settings, name, &Setting::name);
  if (found != settings.end()) return std::move(*found);

  const std::string prefix = fmt::format("{}{}.", listener_prefix, listener_name);
  if (!name.starts_with(prefix)) return fail(Errc::not_found, "unknown setting '{}'", name);
  std::vector<std::string_view> keys;
  keys.reserve(settings.size());
  for (const Setting& setting : settings)
    keys.push_back(std::string_view(setting.name).substr(prefix.size()));
  return unknown(name, keys, prefix);
}

}  // namespace

bool is_of_listener(std::string_view name) { return name.starts_with(listener_prefix); }

Result<Setting> find_setting(Config& config, std::string_view name) {
  if (is_of_listener(name)) return find_of_listener(config, name);
  const auto found = std::ranges::find(options(), name, &Option::name);
  if (found != options().end()) return setting_of(*found, config);
  std::vector<std::string_view> names;
  names.reserve(options().size());
  for (const Option& option : options()) names.push_back(option.name);
  return unknown(name, names, "");
}

std::vector<Setting> all_settings(Config& config) {
  std::vector<Setting> settings;
  for (const Option& option : options()) settings.push_back(setting_of(option, config));
  for (auto& [name, listener] : config.mqtt.listeners)
    std::ranges::move(settings_of(name, listener), std::back_inserter(settings));
  return settings;
}

}  // namespace sluice::server
