#include "net/websocket.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "net/client_frames_test.h"
#include "net/echo_server_test.h"
#include "net/tls_client_test.h"

namespace sluice::net {
namespace {

using std::chrono::seconds;

constexpr std::string_view upgrade =
    "GET /mqtt HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Protocol: mqtt\r\n\r\n";

// A frame as a server sends it.
struct ServerFrame {
  Opcode opcode;
  std::string payload;
};

std::optional<ServerFrame> cut_frame(std::string_view in, std::size_t& size) {
  if (in.size() < 2) return std::nullopt;
  const auto short_size = static_cast<std::uint8_t>(in[1]);  // with the mask bit, which must be 0
  const std::size_t header = short_size == 126 ? 4 : short_size == 127 ? 10 : 2;
  if (in.size() < header) return std::nullopt;
  std::uint64_t payload = short_size;
  if (header == 4) payload = load_be<std::uint16_t>(as_bytes(in).data() + 2);
  if (header == 10) payload = load_be<std::uint64_t>(as_bytes(in).data() + 2);
  if (in.size() < header + payload) return std::nullopt;
  EXPECT_EQ(in[0] & 0xf0, 0x80) << "final, no reserved bits";
  size = header + payload;
  return ServerFrame{static_cast<Opcode>(in[0] & 0x0f), std::string(in.substr(header, payload))};
}

std::string close_payload(CloseCode code, std::string_view reason = "") {
  Buffer out;
  Writer(out).write<std::uint16_t>(static_cast<std::uint16_t>(code));
  return std::string(as_text(out)) + std::string(reason);
}

class WebSocketTest : public testing::Test {
 protected:
  void start(std::uint64_t seed = 1, sim::SimWorld::Options world = {}) {
    wire_.reset();  // it must not outlive its world
    server_ = std::make_unique<EchoServer>(seed, world);
    wire_ = std::move(server_->world.connect(server_->listen(Transport::websocket)).value());
  }
  void open(std::uint64_t seed = 1, sim::SimWorld::Options world = {}) {
    start(seed, world);
    wire_->send(as_bytes(upgrade));
    ASSERT_TRUE(response().starts_with("HTTP/1.1 101 "));
  }
  // The answer to the upgrade, or what there is of it at the end.
  std::string response() {
    const auto end = [this] { return as_text(wire_->received()).find("\r\n\r\n"); };
    server_->world.run_until([&] { return end() != std::string::npos || wire_->ended(); });
    std::string text(as_text(wire_->received()).substr(0, end() + 4));
    wire_->take(text.size());
    return text;
  }
  void send(Opcode opcode, std::string_view payload) {
    Buffer out;
    append_client_frame(out, opcode, payload);
    wire_->send(out);
  }
  std::optional<ServerFrame> next_frame() {
    std::optional<ServerFrame> frame;
    std::size_t size = 0;
    server_->world.run_until([&] {
      frame = cut_frame(as_text(wire_->received()), size);
      return frame || wire_->ended();
    });
    wire_->take(frame ? size : 0);
    return frame;
  }
  // The payload of binary frames up to `size` bytes.
  std::string receive(std::size_t size) {
    std::string payload;
    while (payload.size() < size) {
      const auto frame = next_frame();
      if (!frame) break;
      EXPECT_EQ(frame->opcode, Opcode::binary);
      EXPECT_LE(frame->payload.size(), WebSocketStream::frame_max);
      payload += frame->payload;
    }
    return payload;
  }
  int failures(std::string_view reason) {
    return server_->count("sluice_channel_failures_total", reason);
  }

  std::unique_ptr<EchoServer> server_;
  std::unique_ptr<sim::SimClient> wire_;
};

TEST_F(WebSocketTest, CarriesBytesBothWays) {
  open();
  send(Opcode::binary, "hello");
  EXPECT_EQ(receive(5), "hello");
}

TEST_F(WebSocketTest, FramesMayComeTogetherWithTheUpgrade) {
  start();
  Buffer out;
  append(out, as_bytes(upgrade));
  append_client_frame(out, Opcode::binary, "quick");
  append_client_frame(out, Opcode::ping, "!");
  wire_->send(out);
  EXPECT_TRUE(response().starts_with("HTTP/1.1 101 "));
  std::string payload;
  std::string pong;
  while (payload.size() < 5 || pong.empty()) {
    const auto frame = next_frame();
    ASSERT_TRUE(frame);
    (frame->opcode == Opcode::pong ? pong : payload) += frame->payload;
  }
  EXPECT_EQ(payload, "quick");
  EXPECT_EQ(pong, "!");
}

TEST_F(WebSocketTest, BytesMayArriveOneByOne) {
  sim::SimWorld::Options world;
  world.network.window_max = 1;
  open(2, world);
  send(Opcode::binary, std::string(300, 'x'));
  EXPECT_EQ(receive(300), std::string(300, 'x'));
}

TEST_F(WebSocketTest, ManyBytesGoBothWaysWithinBounds) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    open(seed);
    std::string text(400'000, '\0');
    for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i % 23);
    Buffer fragments;
    append_client_frame(fragments, 0x02, as_bytes(text).first(100'000));
    append_client_frame(fragments, Opcode::pong, "unasked");
    append_client_frame(fragments, 0x00, as_bytes(text).subspan(100'000, 7));
    append_client_frame(fragments, 0x80, as_bytes(text).subspan(100'007));
    wire_->pause_reading();
    wire_->send(fragments);
    server_->world.run_for(seconds(20));
    EXPECT_LE(server_->connections[0]->unsent_peak,
              EchoConnection::unsent_max + EchoConnection::share);
    wire_->resume_reading();
    EXPECT_EQ(receive(text.size()), text);
  }
}

TEST_F(WebSocketTest, AFrameThatHasBegunIsFilledBeforeAnythingElse) {
  open();
  wire_->pause_reading();
  const std::string text(300'000, 'y');
  server_->connections[0]->say(text);
  send(Opcode::ping, "in between");
  server_->world.run_for(seconds(5));
  wire_->resume_reading();
  std::string payload;
  int pongs = 0;
  while (payload.size() < text.size() || pongs == 0) {
    const auto frame = next_frame();
    ASSERT_TRUE(frame);
    if (frame->opcode == Opcode::pong) {
      EXPECT_EQ(frame->payload, "in between");
      ++pongs;
    } else {
      payload += frame->payload;
    }
  }
  EXPECT_EQ(payload, text);
  EXPECT_EQ(pongs, 1);
}

TEST_F(WebSocketTest, APingIsAnswered) {
  open();
  send(Opcode::ping, "are you there");
  const auto frame = next_frame();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->opcode, Opcode::pong);
  EXPECT_EQ(frame->payload, "are you there");
}

TEST_F(WebSocketTest, PingsThatAreNotReadDoNotPileUp) {
  open();
  wire_->pause_reading();
  for (int i = 0; i < 20'000; ++i) send(Opcode::ping, std::string(125, 'p'));
  server_->world.run_for(seconds(60));
  wire_->resume_reading();
  server_->world.run_for(seconds(5));
  EXPECT_LT(wire_->received().size(), 200'000u) << "of 2,540,000 if each were answered";
  EXPECT_TRUE(server_->connections[0]->open);
}

TEST_F(WebSocketTest, ACloseIsAnsweredWithItsCode) {
  open();
  send(Opcode::close, close_payload(CloseCode::going_away, "bye"));
  const auto frame = next_frame();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->opcode, Opcode::close);
  EXPECT_EQ(frame->payload, close_payload(CloseCode::going_away));
  EXPECT_FALSE(next_frame());
  EXPECT_TRUE(wire_->ended());
  EXPECT_EQ(failures(""), 0);
}

TEST_F(WebSocketTest, ClosingTellsTheClient) {
  open();
  server_->connections[0]->end();
  const auto frame = next_frame();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->opcode, Opcode::close);
  EXPECT_EQ(frame->payload, close_payload(CloseCode::normal));
}

TEST_F(WebSocketTest, WhatIsWrongIsClosedWithTheReason) {
  open();
  send(Opcode::binary, "good");
  EXPECT_EQ(receive(4), "good");
  send(Opcode::text, "bad");
  const auto frame = next_frame();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->payload,
            close_payload(CloseCode::unsupported_data, "a text message; MQTT is binary"));
  EXPECT_FALSE(next_frame());
  EXPECT_EQ(failures("reason=\"frame\""), 1);
}

TEST_F(WebSocketTest, AWrongRequestGetsAnHttpError) {
  start();
  wire_->send(as_bytes("GET /elsewhere HTTP/1.1\r\nHost: hub\r\n\r\n"));
  EXPECT_TRUE(response().starts_with("HTTP/1.1 404 Not Found\r\n"));
  EXPECT_FALSE(next_frame());
  EXPECT_EQ(as_text(wire_->received()), "MQTT is at the path /mqtt\n");
  EXPECT_EQ(failures("reason=\"upgrade\""), 1);
  EXPECT_FALSE(server_->connections[0]->open);
}

TEST_F(WebSocketTest, TheUpgradeHasADeadline) {
  start();
  wire_->send(as_bytes("GET /mqtt HTTP/1.1\r\nHost: hub\r\n"));
  server_->world.run_for(seconds(12));
  EXPECT_TRUE(wire_->ended());
  EXPECT_EQ(failures("reason=\"timeout\""), 1);
}

TEST_F(WebSocketTest, ConnectionsThatAreResetAtAnyMomentEnd) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    sim::SimWorld::Options world;
    world.network.reset_one_in = 5;
    start(seed, world);
    wire_->send(as_bytes(upgrade));
    for (int i = 0; i < 100; ++i) send(Opcode::binary, std::string(1000, 'x'));
    server_->world.run_for(seconds(30));
    wire_->close();
    server_->world.run_for(seconds(30));
    EXPECT_FALSE(server_->connections[0]->open) << seed;
  }
}

TEST(WebSocketOverTls, CarriesBytesBothWays) {
  TestAuthority authority;
  EchoServer server(4);
  server.listeners.set_tls(TlsContext::make({.credentials = authority.issue("hub")}, 0).value());
  TlsClient client(server.world, server.listen(Transport::websocket_tls), {});
  ASSERT_TRUE(client.connect());
  client.send(upgrade);
  EXPECT_NE(client.receive(129).find("Sec-WebSocket-Protocol: mqtt\r\n\r\n"), std::string::npos);
  Buffer out;
  append_client_frame(out, Opcode::binary, "through both");
  client.send(as_text(out));
  std::size_t size = 0;
  const auto frame = cut_frame(client.receive(14), size);
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->payload, "through both");
  server.connections[0]->end();
  EXPECT_EQ(cut_frame(client.receive(4), size)->opcode, Opcode::close);
  EXPECT_TRUE(client.ends_cleanly());
}

}  // namespace
}  // namespace sluice::net
