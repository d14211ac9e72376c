#pragma once

#include <concepts>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::cli {

// `text`, which must be UTF-8, as a JSON string with its quotes (RFC 8259).
std::string json_string(std::string_view text);

// One JSON object on one line, written field by field.
class JsonObject {
 public:
  JsonObject& add(std::string_view name, std::string_view value) {
    return add_raw(name, json_string(value));
  }
  JsonObject& add(std::string_view name, const char* value) {
    return add(name, std::string_view(value));
  }
  template <std::integral T>
  JsonObject& add(std::string_view name, T value) {
    if constexpr (std::same_as<T, bool>) return add_raw(name, value ? "true" : "false");
    return add_raw(name, std::to_string(value));
  }
  // `value` is JSON already.
  JsonObject& add_raw(std::string_view name, std::string_view value);
  // Bytes from a client: under `name` as a string when they are UTF-8, else under `name`_base64.
  JsonObject& add_bytes(std::string_view name, std::string_view bytes);
  [[nodiscard]] std::string str() const { return body_ + '}'; }

 private:
  std::string body_ = "{";
};

std::string base64(std::string_view bytes);

// Reads an object whose values are all strings, as in listeners.json. Errc::malformed.
Result<std::map<std::string, std::string, std::less<>>> parse_string_object(std::string_view text);

}  // namespace sluice::cli
