#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "server/config.h"
#include "server/options.h"

namespace sluice::server {

// Where values come from, the later the stronger, beside the defaults.
struct Sources {
  std::optional<std::string> file;  // a path
  std::vector<std::pair<std::string, std::string>>
      environment;                       // variables that begin with SLUICE_
  std::vector<std::string> assignments;  // "section.key=value"
};

struct Settings {
  Config config{};
  // Name of a setting -> where its value comes from: "default", "sluice.toml:3",
  // "SLUICE_MQTT__PORT", "--set"; of a listener's limits also "mqtt.packet_max".
  std::map<std::string, std::string, std::less<>> origins;
};

// Reads and checks everything. Errors say where: a bad file or environment is malformed, a bad
// assignment invalid (it is wrong usage), values that don't go together malformed.
Result<Settings> load_settings(const Sources& sources);

// The variables of this process that may be settings.
std::vector<std::pair<std::string, std::string>> sluice_environment();

// All settings as a TOML file, with the origin of each as a comment.
std::string dump(Settings& settings);
// One setting: meaning, type, range, default, value and where that comes from; also of a listener
// that is not configured. Errc::invalid names the nearest.
Result<std::string> explain(const Settings& settings, std::string_view name);

}  // namespace sluice::server
