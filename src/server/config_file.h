#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sluice::server {

// One "key = value" of a TOML file.
struct FileValue {
  std::string name;  // "section.key", "mqtt.listener.edge.port"
  std::string text;  // of a string, integer or boolean
  std::uint32_t line = 0;
};

// The values of a file of sections, which may hold sections, in no particular order. Errors
// (not_found, malformed) name the file and the line.
Result<std::vector<FileValue>> read_config_file(const std::string& path);
Result<std::vector<FileValue>> parse_config(std::string_view content, const std::string& path);

}  // namespace sluice::server
