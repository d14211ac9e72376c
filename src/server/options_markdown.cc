// docs/reference/configuration.md

#include <fmt/format.h>

#include <iterator>

#include "server/options.h"

namespace sluice::server {
namespace {

constexpr std::string_view head =
    "# Configuration\n\n"
    "Written by `sluice config reference`; a test checks that it is up to date.\n\n"
    "A setting comes from, the later the stronger: its default, the file of `--config` (TOML), the "
    "environment\n"
    "(`SLUICE_<SECTION>__<KEY>`, such as `SLUICE_MQTT__PORT=0`), `--set section.key=value`. "
    "`sluice "
    "config check` checks\n"
    "all of them, `dump` shows the outcome as a file, `explain KEY` one setting and where its "
    "value "
    "comes from.\n\n"
    "```toml\n[mqtt]\nport = 1883\n\n"
    "[mqtt.listener.edge]  # as many as are needed\naddress = \"::\"\nport = 1884\n"
    "client_message_rate = 10\n\n"
    "[log]\nretention = \"30d\"\nretention_bytes = \"100GiB\"\n```\n\n"
    "Sizes are bytes or `KiB`, `MiB`, `GiB`, `TiB`; durations `ms`, `s`, `m`, `h`, `d`. A port is "
    "1 "
    "to 65535, 0 (any\n"
    "free one: see `listeners.json` in the data directory) or `off`. Listeners beyond this machine "
    "need\n"
    "users or `access.allow_anonymous`.\n";

void add_section(std::string& out, std::string_view name) {
  out +=
      fmt::format("\n## {}\n\n| setting | type | default | meaning |\n|---|---|---|---|\n", name);
}

void add_row(std::string& out, std::string_view name, const Field& field,
             std::string_view default_value, std::string_view text) {
  const std::string range = range_text(field);
  out += fmt::format("| `{}` | {}{} | {} | {} |\n", name, type_name(field),
                     range.empty() ? "" : fmt::format(", {}", range),
                     default_value.empty() ? "" : fmt::format("`{}`", default_value), text);
}

void add_listener_section(std::string& out) {
  add_section(out, "mqtt.listener.NAME");
  Config::MqttListener listener;
  for (const ListenerOption& option : listener_options())
    add_row(out, option.key, option.field(listener), option.default_value, option.text);
  std::string inherited;
  for (const Option& option : options())
    if (option.listener_field != nullptr)
      inherited += fmt::format("{}`{}`", inherited.empty() ? "" : ", ",
                               option.name.substr(std::string_view("mqtt.").size()));
  out += fmt::format(
      "\nA listener beside those of `[mqtt]`, known by NAME in `listeners.json`; "
      "`SLUICE_MQTT__LISTENER__NAME__PORT` is a\n"
      "variable of it. What `[mqtt]` says holds for its clients too, unless it says otherwise "
      "itself:\n{}.\n",
      inherited);
}

}  // namespace

std::string options_markdown() {
  std::string out(head);
  Config config;
  std::string_view section;
  for (const Option& option : options()) {
    const std::string_view its_section = option.name.substr(0, option.name.find('.'));
    if (its_section != section) {
      if (section == "mqtt") add_listener_section(out);
      add_section(out, its_section);
      section = its_section;
    }
    add_row(out, option.name, option.field(config), option.default_value, option.text);
  }
  return out;
}

}  // namespace sluice::server
