#pragma once

#include <concepts>
#include <functional>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

// `text`, which must be UTF-8, as a JSON string with its quotes (RFC 8259). All control characters
// are escaped, so that it may be shown on a terminal.
std::string json_string(std::string_view text);
// An array of what is JSON already.
std::string json_array(const std::vector<std::string>& values);
// An array of what `to_json` says of each item.
template <class Items, class ToJson>
std::string json_array(const Items& items, ToJson to_json) {
  std::vector<std::string> values;
  values.reserve(std::size(items));
  for (const auto& item : items) values.push_back(std::invoke(to_json, item));
  return json_array(values);
}

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

// RFC 4648, section 4, with padding.
std::string base64(std::string_view bytes);

}  // namespace sluice
