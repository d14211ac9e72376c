#include "cli/json.h"

#include <fmt/format.h>

#include <cstdint>

#include "base/utf8.h"

namespace sluice::cli {
namespace {

void append_escaped(std::string& out, char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      break;
  }
  if (static_cast<unsigned char>(c) < 0x20)
    out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
  else
    out += c;
}

// The subset of JSON that parse_string_object takes, read from the front of `text`.
class StringObjectParser {
 public:
  explicit StringObjectParser(std::string_view text) : rest_(text) {}

  Result<std::map<std::string, std::string, std::less<>>> parse() {
    std::map<std::string, std::string, std::less<>> out;
    if (!take('{')) return wrong();
    if (!take('}')) {
      do {
        std::string name;
        std::string value;
        if (!take_string(name) || !take(':') || !take_string(value)) return wrong();
        out[std::move(name)] = std::move(value);
      } while (take(','));
      if (!take('}')) return wrong();
    }
    skip_space();
    if (!rest_.empty()) return wrong();
    return out;
  }

 private:
  static std::unexpected<Error> wrong() {
    return fail(Errc::malformed, "not a JSON object of strings");
  }

  void skip_space() {
    while (!rest_.empty() && std::string_view(" \t\r\n").find(rest_[0]) != std::string_view::npos)
      rest_.remove_prefix(1);
  }

  bool take(char c) {
    skip_space();
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  // Without escapes: neither names of listeners nor addresses need them.
  bool take_string(std::string& out) {
    if (!take('"')) return false;
    const std::size_t end = rest_.find_first_of("\"\\");
    if (end == std::string_view::npos || rest_[end] == '\\') return false;
    out = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return true;
  }

  std::string_view rest_;
};

}  // namespace

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) append_escaped(out, c);
  return out + '"';
}

JsonObject& JsonObject::add_raw(std::string_view name, std::string_view value) {
  if (body_.size() > 1) body_ += ',';
  body_ += json_string(name);
  body_ += ':';
  body_ += value;
  return *this;
}

JsonObject& JsonObject::add_bytes(std::string_view name, std::string_view bytes) {
  if (is_valid_utf8(bytes)) return add(name, bytes);
  return add(std::string(name) + "_base64", base64(bytes));
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - at);
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i)
      group = group << 8 | (i < count ? static_cast<unsigned char>(bytes[at + i]) : 0u);
    for (std::size_t i = 0; i < 4; ++i)
      out += i <= count ? digits[group >> (18 - 6 * i) & 63] : '=';
  }
  return out;
}

Result<std::map<std::string, std::string, std::less<>>> parse_string_object(std::string_view text) {
  return StringObjectParser(text).parse();
}

}  // namespace sluice::cli
