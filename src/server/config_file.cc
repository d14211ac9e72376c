// The one unit that knows toml++.

#include "server/config_file.h"

#include <toml++/toml.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>

namespace sluice::server {
namespace {

std::optional<std::string> scalar_text(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* boolean = node.as_boolean()) return boolean->get() ? "true" : "false";
  return std::nullopt;
}

Result<void> add_section(std::string_view section, const toml::table& table,
                         const std::string& path, std::vector<FileValue>& out) {
  for (const auto& [key, node] : table) {
    const std::uint32_t line = node.source().begin.line;
    if (const toml::table* inner = node.as_table()) {
      const std::string name = fmt::format("{}.{}", section, key.str());
      if (inner->empty())
        return fail(Errc::malformed, "{}:{}: the section [{}] is empty", path, line, name);
      SLUICE_TRY(add_section(name, *inner, path, out));
      continue;
    }
    auto text = scalar_text(node);
    if (!text)
      return fail(Errc::malformed,
                  "{}:{}: '{}.{}' is neither a string nor an integer nor a boolean", path, line,
                  section, key.str());
    out.push_back({fmt::format("{}.{}", section, key.str()), std::move(*text), line});
  }
  return {};
}

// Debian's library throws.
Result<toml::table> parse_toml(std::string_view content, const std::string& path) {
  try {
    return toml::parse(content, path);
  } catch (const toml::parse_error& error) {
    return fail(Errc::malformed, "{}:{}: {}", path, error.source().begin.line, error.description());
  }
}

}  // namespace

Result<std::vector<FileValue>> parse_config(std::string_view content, const std::string& path) {
  SLUICE_TRY_ASSIGN(const toml::table file, parse_toml(content, path));
  std::vector<FileValue> out;
  for (const auto& [key, node] : file) {
    const toml::table* table = node.as_table();
    if (table == nullptr)
      return fail(Errc::malformed, "{}:{}: '{}' stands outside of a section such as [mqtt]", path,
                  node.source().begin.line, key.str());
    SLUICE_TRY(add_section(key.str(), *table, path, out));
  }
  return out;
}

Result<std::vector<FileValue>> read_config_file(const std::string& path) {
  std::ifstream file(path);
  if (!file)
    return fail(Errc::not_found, "cannot read the configuration file {}: {}", path,
                std::strerror(errno));
  return parse_config(std::string(std::istreambuf_iterator<char>(file), {}), path);
}

}  // namespace sluice::server
