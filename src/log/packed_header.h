#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"

namespace sluice::log {

// Tells a QoS 2 publish from every other one, also after a restart.
struct Qos2Evidence {
  std::uint64_t uid = 0;  // session
  std::uint16_t packet_id = 0;
  std::uint64_t n = 0;  // counter of the session's QoS 2 publishes
};

// The record header named `mqtt`: how an MQTT publish was made, in 2 to 32 bytes
// (docs/formats/packed-header.md). Later versions append fields under new flag bits; a reader
// ignores what it does not know.
struct PackedHeader {
  static constexpr std::string_view name = "mqtt";

  std::uint8_t qos = 0;  // 0..2, the publisher's
  bool retain = false;
  std::uint64_t publisher = 0;  // id of the publishing session's life; 0: not known. For no-local
  std::optional<std::uint32_t> expiry_s{};  // message expiry interval, from the record's timestamp
  std::optional<Qos2Evidence> qos2{};
};

constexpr std::size_t packed_header_size_max = 32;

// Writes the header's value to `out` (room for packed_header_size_max) and returns its size.
std::size_t encode_packed_header(const PackedHeader& header, std::byte* out);
// Nothing when the bytes are none of ours (another client may use the name): the record then counts
// as without it.
std::optional<PackedHeader> decode_packed_header(Bytes value);

}  // namespace sluice::log
