#pragma once

#include <cstddef>
#include <string_view>

namespace sluice {

// Well-formed UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. NUL is a
// character here; MQTT strings forbid it on top of this ([MQTT-1.5.4-2]).
bool is_valid_utf8(std::string_view text);

// The beginning of a valid text, for messages about it: at most `bytes_max` bytes, no half
// character.
std::string_view beginning_of(std::string_view text, std::size_t bytes_max);

}  // namespace sluice
