#pragma once

#include <cstring>
#include <string_view>

#include "base/utf8.h"

namespace sluice::mqtt {

inline bool contains(std::string_view text, char c) {
  return !text.empty() && std::memchr(text.data(), c, text.size()) != nullptr;
}

// A "UTF-8 Encoded String" of MQTT 5, 1.5.4.
inline bool is_mqtt_text(std::string_view text) {
  return !contains(text, '\0') && is_valid_utf8(text);
}

inline bool has_wildcard(std::string_view topic) {
  return contains(topic, '+') || contains(topic, '#');
}

// Where a bridge of mosquitto tells its state, by a will and by messages: it does not connect where
// these are refused.
inline bool is_bridge_notification(std::string_view topic) {
  return topic.starts_with("$SYS/broker/connection/");
}

}  // namespace sluice::mqtt
