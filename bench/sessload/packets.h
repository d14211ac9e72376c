// The bytes of MQTT 5 as far as a load generator needs them; apart from the hub's own codec, so
// that neither hides what is wrong with the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace sessload {

// What the server may not do, or the system does not allow. Ends the run.
struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline std::uint8_t byte_of(char c) { return static_cast<std::uint8_t>(c); }

inline void put8(std::string& out, std::size_t value) { out += static_cast<char>(value & 0xff); }

inline void put16(std::string& out, std::size_t value) {
  put8(out, value >> 8);
  put8(out, value);
}

inline void put32(std::string& out, std::size_t value) {
  put16(out, value >> 16);
  put16(out, value);
}

inline void put_text(std::string& out, std::string_view text) {
  put16(out, text.size());
  out += text;
}

// Variable byte integer (1.5.5).
inline void put_variable(std::string& out, std::size_t value) {
  for (; value > 127; value >>= 7) put8(out, value | 128);
  put8(out, value);
}

inline std::string packet_of(std::uint8_t first, std::string_view body) {
  std::string packet;
  put8(packet, first);
  put_variable(packet, body.size());
  packet += body;
  return packet;
}

struct Packet {
  enum Type : std::uint8_t { connack = 2, publish = 3, puback = 4, suback = 9, disconnect = 14 };

  std::uint8_t first;  // type and flags
  std::string_view body;

  [[nodiscard]] int type() const { return first >> 4; }
  [[nodiscard]] int qos() const { return first >> 1 & 3; }
  [[nodiscard]] bool is_dup() const { return (first & 8) != 0; }
};

// What the server should not have sent.
inline std::string name_of(const Packet& packet) {
  if (packet.type() == Packet::disconnect && !packet.body.empty())
    return "DISCONNECT, reason " + std::to_string(byte_of(packet.body[0]));
  return "an unexpected packet of type " + std::to_string(packet.type());
}

// Takes a whole packet from the front of `bytes`; nothing while its end has not come.
inline std::optional<Packet> cut_packet(std::string_view& bytes) {
  std::size_t length = 0;
  std::size_t at = 1;
  for (unsigned shift = 0;; shift += 7) {
    if (at >= bytes.size()) return std::nullopt;
    if (shift > 21) throw Fault("a packet's length has more than four bytes");
    const unsigned digit = byte_of(bytes[at++]);
    length |= std::size_t{digit & 127} << shift;
    if (digit < 128) break;
  }
  if (bytes.size() - at < length) return std::nullopt;
  const Packet packet{byte_of(bytes[0]), bytes.substr(at, length)};
  bytes.remove_prefix(at + length);
  return packet;
}

// The fields of a packet, from its front; a Fault where it is too short.
class Fields {
 public:
  explicit Fields(std::string_view body) : rest_(body) {}

  std::string_view bytes(std::size_t size) {
    if (rest_.size() < size) throw Fault("a packet is too short");
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  std::uint8_t number8() { return byte_of(bytes(1)[0]); }
  std::uint16_t number16() {
    const unsigned high = number8();
    return static_cast<std::uint16_t>(high << 8 | number8());
  }
  void skip_properties() {
    std::size_t size = 0;
    for (unsigned shift = 0; shift <= 21; shift += 7) {
      const unsigned digit = number8();
      size |= std::size_t{digit & 127} << shift;
      if (digit < 128) break;
    }
    bytes(size);
  }
  [[nodiscard]] std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

}  // namespace sessload
