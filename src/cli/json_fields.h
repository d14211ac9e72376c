#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::cli {

// What a hub has answered. Members that are missing, or of another type, read as nothing: a hub of
// another version may say less.
class JsonFields {
 public:
  explicit JsonFields(const boost::json::object& object) : object_(object) {}

  [[nodiscard]] bool has(std::string_view name) const { return find(name) != nullptr; }
  [[nodiscard]] std::string text(std::string_view name) const;
  [[nodiscard]] std::int64_t number(std::string_view name) const;
  [[nodiscard]] bool flag(std::string_view name) const;
  // The objects of an array.
  template <class Visit>
  void for_each(std::string_view name, const Visit& visit) const {
    const boost::json::value* value = find(name);
    if (value == nullptr || !value->is_array()) return;
    for (const auto& one : value->get_array())
      if (one.is_object()) visit(JsonFields(one.get_object()));
  }
  [[nodiscard]] const boost::json::object& object() const { return object_; }
  [[nodiscard]] const boost::json::value* find(std::string_view name) const {
    return object_.if_contains({name.data(), name.size()});
  }

 private:
  const boost::json::object& object_;
};

// On one line, with all control characters escaped (base/json.h), unlike Boost's serialize.
std::string to_json(const boost::json::value& value);

// Errc::malformed: no JSON object.
Result<boost::json::object> parse_object(std::string_view text);

}  // namespace sluice::cli
