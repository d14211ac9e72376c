#include "cli/json_fields.h"

#include <vector>

#include "base/json.h"

namespace sluice::cli {

std::string JsonFields::text(std::string_view name) const {
  const boost::json::value* value = find(name);
  if (value == nullptr || !value->is_string()) return "";
  const auto& text = value->get_string();
  return {text.data(), text.size()};
}

std::int64_t JsonFields::number(std::string_view name) const {
  const boost::json::value* value = find(name);
  return value != nullptr && value->is_int64() ? value->get_int64() : 0;
}

bool JsonFields::flag(std::string_view name) const {
  const boost::json::value* value = find(name);
  return value != nullptr && value->is_bool() && value->get_bool();
}

std::string to_json(const boost::json::value& value) {
  if (const auto* text = value.if_string()) return json_string({text->data(), text->size()});
  if (const auto* array = value.if_array()) return json_array(*array, to_json);
  if (const auto* object = value.if_object()) {
    JsonObject out;
    for (const auto& [name, member] : *object)
      out.add_raw({name.data(), name.size()}, to_json(member));
    return out.str();
  }
  return boost::json::serialize(value);
}

Result<boost::json::object> parse_object(std::string_view text) {
  boost::system::error_code failed;
  auto value = boost::json::parse({text.data(), text.size()}, failed);
  if (failed || !value.is_object()) return fail(Errc::malformed, "not a JSON object");
  return std::move(value.get_object());
}

}  // namespace sluice::cli
