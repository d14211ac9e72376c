#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"

// Frames of WebSocket (RFC 6455, section 5), without extensions.
namespace sluice::net {

enum class Opcode : std::uint8_t {
  continuation = 0,
  text = 1,
  binary = 2,
  close = 8,
  ping = 9,
  pong = 10,
};

// RFC 6455, section 7.4.1.
enum class CloseCode : std::uint16_t {
  normal = 1000,
  going_away = 1001,
  protocol_error = 1002,
  unsupported_data = 1003,
  invalid_payload = 1007,
  message_too_big = 1009,
};

inline constexpr std::size_t control_payload_max = 125;

// Appends the header of a whole message in one frame, unmasked as a server's are.
void append_frame_header(Buffer& out, Opcode opcode, std::uint64_t payload_size);
// A whole close frame.
void append_close_frame(Buffer& out, CloseCode code, std::string_view reason);

// Takes the frames of a client apart, in place: nothing but the header or the control frame under
// way is kept from call to call, so messages may be of any size and split in any way.
class FrameDecoder {
 public:
  // A frame with a larger payload is refused.
  explicit FrameDecoder(std::uint64_t payload_max) : payload_max_(payload_max) {}

  // `bytes` are the next ones of the stream. Moves what they hold of binary messages, unmasked, to
  // their front and returns how much that is. Stops at a close frame, and at an error.
  std::size_t decode(MutableBytes bytes);

  // The payload of the newest ping since the last call; older ones need no answer (section 5.5.3).
  // Valid until the next decode().
  std::optional<Bytes> take_ping();
  // What to close with: the client's own code, or that of its error. 1000 for a close frame without
  // a code.
  [[nodiscard]] std::optional<CloseCode> close_code() const { return close_code_; }
  // Why, when it was an error of the client; else empty.
  [[nodiscard]] std::string_view error() const { return error_; }

 private:
  static constexpr std::size_t header_max = 14;

  bool take_header(Bytes& in);
  [[nodiscard]] std::size_t header_size() const;
  void begin_frame();
  void begin_control(Opcode opcode, bool is_final);
  void begin_data(Opcode opcode, bool is_final);
  void take_control(Bytes& in);
  void end_control();
  void end_close(Bytes payload);
  void fail(CloseCode code, std::string_view error);

  std::uint64_t payload_max_;
  std::array<std::byte, header_max> header_{};
  std::uint8_t header_have_ = 0;
  bool in_frame_ = false;
  bool is_control_ = false;
  bool in_message_ = false;  // the last data frame was not the final one
  bool has_ping_ = false;
  Opcode opcode_ = Opcode::binary;
  std::uint64_t payload_left_ = 0;
  std::uint64_t mask_ = 0;  // the four bytes twice, the next one to be used first
  std::array<std::byte, control_payload_max> control_{};
  std::array<std::byte, control_payload_max> ping_{};
  std::uint8_t control_have_ = 0;
  std::uint8_t ping_size_ = 0;
  std::optional<CloseCode> close_code_;
  std::string_view error_;
};

}  // namespace sluice::net
