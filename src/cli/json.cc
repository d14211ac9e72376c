#include "cli/json.h"

namespace sluice::cli {
namespace {

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

Result<std::map<std::string, std::string, std::less<>>> parse_string_object(std::string_view text) {
  return StringObjectParser(text).parse();
}

}  // namespace sluice::cli
