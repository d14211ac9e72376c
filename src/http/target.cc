#include "http/target.h"

#include <charconv>
#include <utility>

#include "base/utf8.h"

namespace sluice::http {

namespace {

// What stands before the first `delimiter`, which is cut off `rest` with it.
std::string_view cut(std::string_view& rest, char delimiter) {
  const std::size_t end = rest.find(delimiter);
  const std::string_view front = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return front;
}

std::optional<char> hex_byte(std::string_view digits) {
  unsigned value = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  const bool all = parsed.ec == std::errc() && parsed.ptr == digits.data() + digits.size();
  if (digits.size() != 2 || !all) return std::nullopt;
  return static_cast<char>(value);
}

}  // namespace

Result<std::string> percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const auto byte = hex_byte(text.substr(i + 1, 2));
    if (!byte)
      return fail(Errc::malformed, "'{}' holds a '%' without two hexadecimal digits", text);
    out += *byte;
    i += 2;
  }
  if (!is_valid_utf8(out)) return fail(Errc::malformed, "'{}' does not stand for UTF-8", text);
  return out;
}

Result<Query> parse_query(std::string_view query) {
  Query out;
  while (!query.empty()) {
    std::string_view value = cut(query, '&');
    if (value.empty()) continue;
    SLUICE_TRY_ASSIGN(std::string name, percent_decode(cut(value, '=')));
    SLUICE_TRY_ASSIGN(out[std::move(name)], percent_decode(value));
  }
  return out;
}

std::optional<std::vector<std::string_view>> match_path(std::string_view pattern,
                                                        std::string_view path) {
  std::vector<std::string_view> parameters;
  while (!pattern.empty() && !path.empty()) {
    if (pattern.ends_with('/') != path.ends_with('/')) return std::nullopt;
    const std::string_view wanted = cut(pattern, '/');
    const std::string_view level = cut(path, '/');
    if (wanted.starts_with('{') && !level.empty())
      parameters.push_back(level);
    else if (wanted != level)
      return std::nullopt;
  }
  if (!pattern.empty() || !path.empty()) return std::nullopt;
  return parameters;
}

}  // namespace sluice::http
