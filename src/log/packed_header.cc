#include "log/packed_header.h"

namespace sluice::log {
namespace {

// The first byte is the version; 1 so far. The second holds the flags; fields follow in the order
// of their bits.
constexpr std::uint8_t version = 1;
constexpr std::uint8_t qos_mask = 0x03;
constexpr std::uint8_t retain_bit = 0x04;
constexpr std::uint8_t publisher_bit = 0x08;
constexpr std::uint8_t expiry_bit = 0x10;
constexpr std::uint8_t qos2_bit = 0x20;

template <std::integral T>
std::byte* put(std::byte* at, T value) {
  store_be<T>(at, value);
  return at + sizeof(T);
}

}  // namespace

std::size_t encode_packed_header(const PackedHeader& header, std::byte* out) {
  std::uint8_t flags = header.qos & qos_mask;
  if (header.retain) flags |= retain_bit;
  if (header.publisher != 0) flags |= publisher_bit;
  if (header.expiry_s) flags |= expiry_bit;
  if (header.qos2) flags |= qos2_bit;
  std::byte* at = put<std::uint8_t>(out, version);
  at = put<std::uint8_t>(at, flags);
  if (header.publisher != 0) at = put(at, header.publisher);
  if (header.expiry_s) at = put(at, *header.expiry_s);
  if (header.qos2) {
    at = put(at, header.qos2->uid);
    at = put(at, header.qos2->packet_id);
    at = put(at, header.qos2->n);
  }
  return static_cast<std::size_t>(at - out);
}

std::optional<PackedHeader> decode_packed_header(Bytes value) {
  Reader reader(value);
  const auto found_version = reader.read<std::uint8_t>();
  const auto flags = reader.read<std::uint8_t>();
  if (!reader.ok() || found_version != version || (flags & qos_mask) == 3) return std::nullopt;
  PackedHeader header;
  header.qos = flags & qos_mask;
  header.retain = (flags & retain_bit) != 0;
  if ((flags & publisher_bit) != 0) header.publisher = reader.read<std::uint64_t>();
  if ((flags & expiry_bit) != 0) header.expiry_s = reader.read<std::uint32_t>();
  if ((flags & qos2_bit) != 0) {
    auto& evidence = header.qos2.emplace();
    evidence.uid = reader.read<std::uint64_t>();
    evidence.packet_id = reader.read<std::uint16_t>();
    evidence.n = reader.read<std::uint64_t>();
  }
  if (!reader.ok()) return std::nullopt;
  return header;
}

}  // namespace sluice::log
