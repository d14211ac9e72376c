#include "net/frame.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/random.h"
#include "net/client_frames_test.h"

namespace sluice::net {
namespace {

// What a decoder makes of a stream that arrives in pieces of at most `piece` bytes.
struct Outcome {
  std::string payload;
  std::vector<std::string> pings;
  std::optional<CloseCode> close;
  std::string error;
};

Outcome decode(const Buffer& stream, std::size_t piece = SIZE_MAX) {
  FrameDecoder decoder(1 << 20);
  Outcome outcome;
  for (std::size_t at = 0; at < stream.size() && !decoder.close_code();) {
    const std::size_t size = std::min(piece, stream.size() - at);
    Buffer part;
    append(part, Bytes(stream).subspan(at, size));
    outcome.payload += as_text(Bytes(part).first(decoder.decode(part)));
    if (const auto ping = decoder.take_ping()) outcome.pings.emplace_back(as_text(*ping));
    at += size;
  }
  outcome.close = decoder.close_code();
  outcome.error = decoder.error();
  return outcome;
}

Outcome decode_frame_of(std::uint8_t first_byte, std::string_view payload, int size_form = 0) {
  Buffer stream;
  append_client_frame(stream, first_byte, as_bytes(payload), 0x01020304, size_form);
  return decode(stream);
}

TEST(FrameDecoder, UnmasksMessagesOfAnyLength) {
  for (const std::size_t size :
       {0u, 1u, 3u, 4u, 7u, 8u, 9u, 125u, 126u, 127u, 65535u, 65536u, 100000u}) {
    std::string payload(size, '\0');
    for (std::size_t i = 0; i < size; ++i) payload[i] = static_cast<char>(i * 7);
    Buffer stream;
    append_client_frame(stream, Opcode::binary, payload);
    append_client_frame(stream, Opcode::binary, "next");
    const Outcome outcome = decode(stream);
    EXPECT_EQ(outcome.payload, payload + "next") << size;
    EXPECT_FALSE(outcome.close) << size;
  }
}

TEST(FrameDecoder, GivesTheSameHoweverTheStreamIsSplit) {
  Buffer stream;
  append_client_frame(stream, 0x02, as_bytes("first part, "));
  append_client_frame(stream, Opcode::ping, "in between");
  append_client_frame(stream, 0x00, as_bytes("second part, "));
  append_client_frame(stream, 0x80, as_bytes("last part"));
  append_client_frame(stream, Opcode::pong, "unasked");
  append_client_frame(stream, Opcode::binary, std::string(300, 'x'));
  append_client_frame(stream, Opcode::close, std::string("\x03\xe9", 2) + "bye");
  for (std::size_t piece = 1; piece < stream.size(); ++piece) {
    const Outcome outcome = decode(stream, piece);
    EXPECT_EQ(outcome.payload, "first part, second part, last part" + std::string(300, 'x'));
    EXPECT_EQ(outcome.pings, std::vector<std::string>{"in between"});
    EXPECT_EQ(outcome.close, CloseCode::going_away);
    EXPECT_EQ(outcome.error, "");
  }
}

TEST(FrameDecoder, KeepsOnlyTheNewestPing) {
  Buffer stream;
  for (int i = 0; i < 1000; ++i) append_client_frame(stream, Opcode::ping, std::to_string(i));
  EXPECT_EQ(decode(stream).pings, std::vector<std::string>{"999"});
}

TEST(FrameDecoder, TakesNothingAfterTheEnd) {
  Buffer stream;
  append_client_frame(stream, Opcode::binary, "before");
  append_client_frame(stream, Opcode::close, "");
  append_client_frame(stream, Opcode::binary, "after");
  const Outcome outcome = decode(stream);
  EXPECT_EQ(outcome.payload, "before");
  EXPECT_EQ(outcome.close, CloseCode::normal);
}

TEST(FrameDecoder, RefusesWhatTheProtocolForbids) {
  struct Case {
    std::uint8_t first_byte;
    std::string payload;
    int size_form;
    CloseCode code;
    std::string_view error;
  };
  const std::vector<Case> cases{
      {0xC2, "x", 0, CloseCode::protocol_error, "reserved bit"},
      {0xA2, "x", 0, CloseCode::protocol_error, "reserved bit"},
      {0x92, "x", 0, CloseCode::protocol_error, "reserved bit"},
      {0x81, "x", 0, CloseCode::unsupported_data, "text"},
      {0x80, "x", 0, CloseCode::protocol_error, "continuation without a beginning"},
      {0x83, "x", 0, CloseCode::protocol_error, "unknown opcode"},
      {0x8B, "x", 0, CloseCode::protocol_error, "unknown opcode"},
      {0x82, "x", 2, CloseCode::protocol_error, "shortest form"},
      {0x82, std::string(125, 'x'), 2, CloseCode::protocol_error, "shortest form"},
      {0x82, std::string(65535, 'x'), 8, CloseCode::protocol_error, "shortest form"},
      {0x82, std::string((1 << 20) + 1, 'x'), 0, CloseCode::message_too_big, "too large"},
      {0x09, "x", 0, CloseCode::protocol_error, "fragmented"},
      {0x08, "", 0, CloseCode::protocol_error, "fragmented"},
      {0x89, std::string(126, 'x'), 0, CloseCode::protocol_error, "longer than 125"},
      {0x88, "x", 0, CloseCode::protocol_error, "one byte"},
      {0x88, std::string("\x03\xe7", 2), 0, CloseCode::protocol_error, "not allowed"},  // 999
      {0x88, std::string("\x03\xed", 2), 0, CloseCode::protocol_error, "not allowed"},  // 1005
      {0x88, std::string("\x13\x88", 2), 0, CloseCode::protocol_error, "not allowed"},  // 5000
      {0x88, std::string("\x03\xe8\xff", 3), 0, CloseCode::invalid_payload, "UTF-8"},
  };
  for (const Case& wrong : cases) {
    const Outcome outcome = decode_frame_of(wrong.first_byte, wrong.payload, wrong.size_form);
    EXPECT_EQ(outcome.close, wrong.code) << wrong.error;
    EXPECT_NE(outcome.error.find(wrong.error), std::string::npos) << outcome.error;
    EXPECT_EQ(outcome.payload, "") << wrong.error;
  }
}

TEST(FrameDecoder, RefusesAFrameWithoutAMask) {
  Buffer stream;
  append_frame_header(stream, Opcode::binary, 1);
  stream.push_back(std::byte{'x'});
  EXPECT_EQ(decode(stream).close, CloseCode::protocol_error);
  EXPECT_EQ(decode(stream).error, "a frame is not masked");
}

TEST(FrameDecoder, RefusesAMessageWithinAnother) {
  Buffer stream;
  append_client_frame(stream, 0x02, as_bytes("begun"));
  append_client_frame(stream, Opcode::binary, "another");
  const Outcome outcome = decode(stream);
  EXPECT_EQ(outcome.payload, "begun");
  EXPECT_EQ(outcome.close, CloseCode::protocol_error);
}

TEST(FrameHeader, HasTheShortestLength) {
  const auto header = [](std::uint64_t size) {
    Buffer out;
    append_frame_header(out, Opcode::binary, size);
    return out;
  };
  EXPECT_EQ(as_text(header(125)), "\x82\x7d");
  EXPECT_EQ(as_text(header(126)), std::string_view("\x82\x7e\x00\x7e", 4));
  EXPECT_EQ(as_text(header(65536)), std::string_view("\x82\x7f\0\0\0\0\0\x01\0\0", 10));
}

}  // namespace
}  // namespace sluice::net
