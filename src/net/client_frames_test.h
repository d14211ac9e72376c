#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "net/frame.h"

namespace sluice::net {

// A frame as a client sends it. `size_form`: 0, the shortest; 2 and 8, that many bytes of length.
inline void append_client_frame(Buffer& out, std::uint8_t first_byte, Bytes payload,
                                std::uint32_t mask = 0x9d'41'02'e7, int size_form = 0) {
  constexpr std::uint8_t mask_bit = 0x80;
  Writer writer(out);
  writer.write<std::uint8_t>(first_byte);
  if (size_form == 0) size_form = payload.size() <= 125 ? 1 : payload.size() <= 0xffff ? 2 : 8;
  if (size_form == 1) {
    writer.write<std::uint8_t>(static_cast<std::uint8_t>(payload.size() | mask_bit));
  } else if (size_form == 2) {
    writer.write<std::uint8_t>(126 | mask_bit);
    writer.write<std::uint16_t>(static_cast<std::uint16_t>(payload.size()));
  } else {
    writer.write<std::uint8_t>(127 | mask_bit);
    writer.write<std::uint64_t>(payload.size());
  }
  const std::size_t mask_at = out.size();
  writer.write<std::uint32_t>(mask);
  for (std::size_t i = 0; i < payload.size(); ++i) out.push_back(payload[i] ^ out[mask_at + i % 4]);
}

constexpr std::uint8_t final_frame(Opcode opcode) {
  return static_cast<std::uint8_t>(0x80 | static_cast<std::uint8_t>(opcode));
}

inline void append_client_frame(Buffer& out, Opcode opcode, std::string_view payload) {
  append_client_frame(out, final_frame(opcode), as_bytes(payload));
}

}  // namespace sluice::net
