#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace sluice::mqtt {

// A "Variable Byte Integer" of MQTT 5 (1.5.5); MQTT 3.1.1 writes its remaining length alike.
inline constexpr std::size_t variable_integer_size_max = 4;

// Bytes that a value of up to 268,435,455 needs.
constexpr std::size_t variable_integer_size(std::size_t value) {
  if (value < 1u << 7) return 1;
  if (value < 1u << 14) return 2;
  return value < 1u << 21 ? 3 : 4;
}

// Fails the reader if the value takes more bytes than it needs ([MQTT-1.5.5-1]).
inline std::uint32_t read_variable_integer(Reader& reader) {
  const std::size_t before = reader.left();
  const std::uint64_t value = reader.read_uvarint(variable_integer_size_max);
  if (reader.ok() && before - reader.left() != variable_integer_size(value)) reader.set_failed();
  return static_cast<std::uint32_t>(value);
}

}  // namespace sluice::mqtt
