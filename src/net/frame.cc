#include "net/frame.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/utf8.h"

namespace sluice::net {

namespace {

constexpr auto final_bit = std::byte{0x80};
constexpr auto reserved_bits = std::byte{0x70};
constexpr auto mask_bit = std::byte{0x80};
constexpr std::size_t mask_size = 4;
constexpr std::uint64_t short_size_max = 125;
constexpr std::uint8_t size_is_16_bits = 126;
constexpr std::uint8_t size_is_64_bits = 127;

// Section 7.4: what an endpoint may send.
bool may_be_sent(std::uint16_t code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
         (code >= 3000 && code <= 4999);
}

// `to` may lie before `from` in the same buffer. Returns the mask for the byte that follows.
std::uint64_t unmask(std::byte* to, const std::byte* from, std::size_t count, std::uint64_t mask) {
  std::size_t i = 0;
  for (; i + sizeof mask <= count; i += sizeof mask) {
    std::uint64_t eight;
    std::memcpy(&eight, from + i, sizeof eight);
    eight ^= mask;
    std::memcpy(to + i, &eight, sizeof eight);
  }
  for (; i < count; ++i) {
    to[i] = from[i] ^ static_cast<std::byte>(mask);
    mask = std::rotr(mask, 8);
  }
  return mask;
}

}  // namespace

void append_frame_header(Buffer& out, Opcode opcode, std::uint64_t payload_size) {
  Writer writer(out);
  out.push_back(final_bit | static_cast<std::byte>(opcode));
  if (payload_size <= short_size_max) {
    writer.write<std::uint8_t>(static_cast<std::uint8_t>(payload_size));
  } else if (payload_size <= UINT16_MAX) {
    writer.write<std::uint8_t>(size_is_16_bits);
    writer.write<std::uint16_t>(static_cast<std::uint16_t>(payload_size));
  } else {
    writer.write<std::uint8_t>(size_is_64_bits);
    writer.write<std::uint64_t>(payload_size);
  }
}

void append_close_frame(Buffer& out, CloseCode code, std::string_view reason) {
  Writer writer(out);
  reason = reason.substr(0, control_payload_max - sizeof code);
  append_frame_header(out, Opcode::close, sizeof code + reason.size());
  writer.write<std::uint16_t>(static_cast<std::uint16_t>(code));
  writer.write_text(reason);
}

std::size_t FrameDecoder::decode(MutableBytes bytes) {
  std::byte* payload_end = bytes.data();
  Bytes in = bytes;
  while (!close_code_) {
    if (!in_frame_) {
      if (!take_header(in)) break;
      begin_frame();
    } else if (is_control_) {
      take_control(in);
      if (in_frame_) break;
    } else {
      const auto count =
          static_cast<std::size_t>(std::min<std::uint64_t>(in.size(), payload_left_));
      mask_ = unmask(payload_end, in.data(), count, mask_);
      payload_end += count;
      payload_left_ -= count;
      in = in.subspan(count);
      in_frame_ = payload_left_ > 0;
      if (in_frame_) break;
    }
  }
  return static_cast<std::size_t>(payload_end - bytes.data());
}

std::optional<Bytes> FrameDecoder::take_ping() {
  if (!has_ping_) return std::nullopt;
  has_ping_ = false;
  return Bytes(ping_).first(ping_size_);
}

// False: more is needed.
bool FrameDecoder::take_header(Bytes& in) {
  while (header_have_ < header_size()) {
    if (in.empty()) return false;
    header_[header_have_++] = in.front();
    in = in.subspan(1);
  }
  return true;
}

// As far as is known: the second byte tells.
std::size_t FrameDecoder::header_size() const {
  constexpr std::size_t base = 2;
  if (header_have_ < base) return base;
  const auto size = std::to_integer<std::uint8_t>(header_[1] & ~mask_bit);
  const std::size_t mask = (header_[1] & mask_bit) != std::byte{} ? mask_size : 0;
  return base + mask + (size == size_is_16_bits ? 2 : size == size_is_64_bits ? 8 : 0);
}

void FrameDecoder::begin_frame() {
  const std::size_t size = header_have_;
  const bool is_masked = (header_[1] & mask_bit) != std::byte{};
  const auto short_size = std::to_integer<std::uint8_t>(header_[1] & ~mask_bit);
  opcode_ = static_cast<Opcode>(std::to_integer<std::uint8_t>(header_[0] & std::byte{0x0f}));
  header_have_ = 0;

  if ((header_[0] & reserved_bits) != std::byte{})
    return fail(CloseCode::protocol_error, "a reserved bit is set, without an extension");
  if (!is_masked) return fail(CloseCode::protocol_error, "a frame is not masked");
  payload_left_ = short_size;
  if (short_size == size_is_16_bits) payload_left_ = load_be<std::uint16_t>(&header_[2]);
  if (short_size == size_is_64_bits) payload_left_ = load_be<std::uint64_t>(&header_[2]);
  if ((short_size == size_is_16_bits && payload_left_ <= short_size_max) ||
      (short_size == size_is_64_bits && payload_left_ <= UINT16_MAX))
    return fail(CloseCode::protocol_error, "a length is not in its shortest form");

  std::uint32_t mask;
  std::memcpy(&mask, &header_[size - mask_size], sizeof mask);
  mask_ = std::uint64_t{mask} << 32 | mask;
  const bool is_final = (header_[0] & final_bit) != std::byte{};
  is_control_ = static_cast<std::uint8_t>(opcode_) >= static_cast<std::uint8_t>(Opcode::close);
  in_frame_ = true;
  if (is_control_)
    begin_control(opcode_, is_final);
  else
    begin_data(opcode_, is_final);
}

void FrameDecoder::begin_control(Opcode opcode, bool is_final) {
  if (opcode != Opcode::close && opcode != Opcode::ping && opcode != Opcode::pong)
    return fail(CloseCode::protocol_error, "an unknown opcode");
  if (!is_final) return fail(CloseCode::protocol_error, "a control frame is fragmented");
  if (payload_left_ > control_payload_max)
    return fail(CloseCode::protocol_error, "a control frame is longer than 125 bytes");
  control_have_ = 0;
}

void FrameDecoder::begin_data(Opcode opcode, bool is_final) {
  if (opcode == Opcode::text)
    return fail(CloseCode::unsupported_data, "a text message; MQTT is binary");
  if (opcode != Opcode::binary && opcode != Opcode::continuation)
    return fail(CloseCode::protocol_error, "an unknown opcode");
  if ((opcode == Opcode::continuation) != in_message_)
    return fail(CloseCode::protocol_error, in_message_ ? "a message begins within another"
                                                       : "a continuation without a beginning");
  if (payload_left_ > payload_max_) return fail(CloseCode::message_too_big, "a frame is too large");
  in_message_ = !is_final;
  in_frame_ = payload_left_ > 0;
}

void FrameDecoder::take_control(Bytes& in) {
  const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(in.size(), payload_left_));
  mask_ = unmask(control_.data() + control_have_, in.data(), count, mask_);
  control_have_ = static_cast<std::uint8_t>(control_have_ + count);
  payload_left_ -= count;
  in = in.subspan(count);
  if (payload_left_ == 0) end_control();
}

void FrameDecoder::end_control() {
  in_frame_ = false;
  const Bytes payload = Bytes(control_).first(control_have_);
  if (opcode_ == Opcode::close) return end_close(payload);
  if (opcode_ != Opcode::ping) return;
  has_ping_ = true;
  ping_ = control_;
  ping_size_ = control_have_;
}

void FrameDecoder::end_close(Bytes payload) {
  if (payload.empty()) {
    close_code_ = CloseCode::normal;
    return;
  }
  if (payload.size() < sizeof(CloseCode))
    return fail(CloseCode::protocol_error, "a close code of one byte");
  const auto code = load_be<std::uint16_t>(payload.data());
  if (!may_be_sent(code))
    return fail(CloseCode::protocol_error, "a close code that is not allowed");
  if (!is_valid_utf8(as_text(payload.subspan(sizeof code))))
    return fail(CloseCode::invalid_payload, "a close reason that is not UTF-8");
  close_code_ = static_cast<CloseCode>(code);
}

void FrameDecoder::fail(CloseCode code, std::string_view error) {
  close_code_ = code;
  error_ = error;
}

}  // namespace sluice::net
