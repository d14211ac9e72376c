#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "server/config.h"

namespace sluice::server {

// What a setting's value may be, and where it lies in a Config.
struct TextField {
  std::string* value;
};
struct BoolField {
  bool* value;
};
struct IntegerField {
  std::int64_t* value;
  std::int64_t min;
  std::int64_t max;
  bool may_be_auto = false;  // "auto" is stored as 0
};
struct SizeField {
  std::uint64_t* value;
  std::uint64_t min;
  std::uint64_t max;
};
struct DurationField {
  Milliseconds* value;
  Milliseconds min;
  Milliseconds max;
};
struct ChoiceField {
  std::string* value;
  std::vector<std::string_view> choices;
};
struct PortField {
  Port* value;
};
using Field = std::variant<TextField, BoolField, IntegerField, SizeField, DurationField,
                           ChoiceField, PortField>;

// One row of the table of settings.
struct Option {
  std::string_view name;  // "section.key"
  std::string_view default_value;
  std::string_view text;
  Field (*field)(Config&);
  // Not null: each [mqtt.listener.NAME] may have its own.
  Field (*listener_field)(Config::MqttListener&) = nullptr;
};
std::span<const Option> options();

// One row of the settings that only [mqtt.listener.NAME] has.
struct ListenerOption {
  std::string_view key;
  std::string_view default_value;
  std::string_view text;
  Field (*field)(Config::MqttListener&);
};
std::span<const ListenerOption> listener_options();

// A setting as it stands in a configuration.
struct Setting {
  std::string name;           // "mqtt.port", "mqtt.listener.edge.port"
  std::string default_value;  // as set_field takes it, unless it is inherited
  std::string_view text;
  Field field;
  bool inherited = false;  // the default of a listener's is the setting of [mqtt] that it names
};

// A listener that `name` speaks of and `config` has not is made, with what it has by default then.
// Errc::not_found: no such setting, with the nearest one; Errc::invalid: no name for a listener.
Result<Setting> find_setting(Config& config, std::string_view name);
bool is_of_listener(std::string_view name);
// Those of the table, then those of each listener.
std::vector<Setting> all_settings(Config& config);

// Errc::invalid says what is allowed; the caller says which setting, and where it was set.
Result<void> set_field(const Field& field, std::string_view text);
std::string format_field(const Field& field);  // as set_field takes it
bool is_quoted_in_toml(const Field& field);    // whether format_field's text is a string in TOML
std::string type_name(const Field& field);     // "size"
std::string range_text(const Field& field);    // "1KiB to 1GiB"; empty: any

// The environment variable of a setting: "SLUICE_MQTT__PORT".
std::string environment_name(std::string_view name);

// docs/reference/configuration.md
std::string options_markdown();

}  // namespace sluice::server
