#include "kafka_stream/options.h"

#include <fstream>

namespace sluice::kafka_stream {
namespace {

std::string trimmed(const std::string& text) {
  constexpr std::string_view space = " \t\r";
  const auto first = text.find_first_not_of(space);
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(space) - first + 1);
}

}  // namespace

Result<std::vector<std::pair<std::string, std::string>>> read_properties_file(
    const std::string& path) {
  std::ifstream file(path);
  if (!file) return fail(Errc::not_found, "{}: cannot be read", path);
  std::vector<std::pair<std::string, std::string>> properties;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    line = trimmed(line);
    if (line.empty() || line.starts_with('#')) continue;
    const auto equals = line.find('=');
    if (equals == std::string::npos || equals == 0)
      return fail(Errc::malformed, "{}, line {}: no name=value", path, number);
    properties.emplace_back(trimmed(line.substr(0, equals)), trimmed(line.substr(equals + 1)));
  }
  return properties;
}

}  // namespace sluice::kafka_stream
