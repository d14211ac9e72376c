#pragma once

#include <string_view>

namespace sluice {

// Well-formed UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. NUL is a
// character here; MQTT strings forbid it on top of this ([MQTT-1.5.4-2]).
bool is_valid_utf8(std::string_view text);

}  // namespace sluice
