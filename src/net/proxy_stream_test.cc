#include "net/proxy_stream.h"

#include <gtest/gtest.h>

#include "net/certificates_test.h"
#include "net/client_frames_test.h"
#include "net/echo_server_test.h"
#include "net/tls_client_test.h"

namespace sluice::net {
namespace {

using std::chrono::seconds;
using std::string_view_literals::operator""sv;

constexpr std::string_view line = "PROXY TCP4 192.0.2.1 192.0.2.2 258 1883\r\n";
constexpr auto binary =
    "\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24"
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2\1\2\7\x5b"sv;

// Clients of a listener that wants the header.
class ProxyTest : public testing::Test {
 protected:
  void start(Transport transport, std::uint64_t seed = 1, sim::SimWorld::Options world = {}) {
    server_ = std::make_unique<EchoServer>(seed, world);
    endpoint_ = server_->listen(transport, true);
  }
  std::unique_ptr<sim::SimClient> connect() {
    return std::move(server_->world.connect(endpoint_).value());
  }
  // What comes back, until it is as much as `size` or the end.
  std::string receive(sim::SimClient& client, std::size_t size) {
    server_->world.run_until([&] { return client.received().size() >= size || client.ended(); },
                             seconds(60));
    return std::string(as_text(client.received()));
  }
  int failures(std::string_view reason) {
    return server_->count("sluice_channel_failures_total", reason);
  }

  std::unique_ptr<EchoServer> server_;
  runtime::Endpoint endpoint_;
};

TEST_F(ProxyTest, TheClientIsWhomTheHeaderNamesAndWhatFollowsIsItsOwn) {
  for (const auto& [header, peer] :
       {std::pair{line, "192.0.2.1:258"}, std::pair{binary, "[2001:db8::1]:258"}}) {
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
      start(Transport::tcp, seed);
      const auto client = connect();
      client->send(as_bytes(std::string(header) + "hello"));
      EXPECT_EQ(receive(*client, 5), "hello");
      client->send(as_bytes(", again"));
      EXPECT_EQ(receive(*client, 12), "hello, again");
      EXPECT_EQ(server_->connections[0]->peer, peer);
    }
  }
}

TEST_F(ProxyTest, TheHeaderMayComeByteByByte) {
  sim::SimWorld::Options world;
  world.network.window_max = 1;
  start(Transport::tcp, 2, world);
  const auto client = connect();
  client->send(as_bytes(std::string(line) + "x"));
  EXPECT_EQ(receive(*client, 1), "x");
  EXPECT_EQ(server_->connections[0]->peer, "192.0.2.1:258");
}

TEST_F(ProxyTest, WithoutANameTheClientIsTheSocketsOtherEnd) {
  start(Transport::tcp);
  const auto client = connect();
  client->send(as_bytes("PROXY UNKNOWN\r\nx"));
  EXPECT_EQ(receive(*client, 1), "x");
  EXPECT_EQ(server_->connections[0]->peer, runtime::to_string(client->local_endpoint()));
}

TEST_F(ProxyTest, MuchThatComesInOnePieceWithTheHeaderIsAllReceived) {
  start(Transport::tcp);
  const auto client = connect();
  const std::string text(100'000, 'x');
  client->send(as_bytes(std::string(line) + text));
  EXPECT_EQ(receive(*client, text.size()), text);
}

TEST_F(ProxyTest, WhoSendsNoneOrABadOneIsClosedAndCounted) {
  for (const std::string_view first : {"\x10\x0c\0\4MQTT"sv, "PROXY TCP4 nobody\r\n"sv}) {
    start(Transport::tcp);
    const auto client = connect();
    client->send(as_bytes(first));
    EXPECT_EQ(receive(*client, 1), "");
    EXPECT_TRUE(client->ended());
    EXPECT_EQ(failures("reason=\"proxy\""), 1);
    EXPECT_EQ(server_->connections[0]->received, 0u);
  }
}

TEST_F(ProxyTest, WhoSendsNothingOrHalfOfOneIsClosedInTime) {
  for (const std::string_view first : {""sv, line.substr(0, 20)}) {
    start(Transport::tcp);
    const auto client = connect();
    client->send(as_bytes(first));
    server_->world.run_for(seconds(9));
    EXPECT_FALSE(client->ended());
    server_->world.run_for(seconds(2));
    EXPECT_TRUE(client->ended());
    EXPECT_EQ(failures("reason=\"timeout\""), 1);
  }
}

TEST_F(ProxyTest, AHealthCheckThatClosesAtOnceIsNoTrouble) {
  start(Transport::tcp);
  const auto client = connect();
  client->close();
  server_->world.run_for(seconds(1));
  EXPECT_EQ(failures("reason=\"closed\""), 1);
  EXPECT_EQ(failures(""), 1);
}

TEST_F(ProxyTest, NothingIsSentBeforeTheHeaderIsThere) {
  start(Transport::tcp);
  const auto client = connect();
  server_->world.run_for(seconds(1));
  server_->connections[0]->say("early");
  server_->world.run_for(seconds(1));
  EXPECT_EQ(as_text(client->received()), "");
  client->send(as_bytes(line));
  EXPECT_EQ(receive(*client, 5), "early");
}

TEST_F(ProxyTest, TlsBeginsBehindTheHeader) {
  TestAuthority authority;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    server_ = std::make_unique<EchoServer>(seed);
    server_->listeners.set_tls(TlsContext::make({.credentials = authority.issue("hub")},
                                                static_cast<WallMs>(std::time(nullptr)) * 1000)
                                   .value());
    endpoint_ = server_->listen(Transport::tls, true);
    TlsClient client(server_->world, endpoint_, {});
    client.wire().send(as_bytes(binary));
    ASSERT_TRUE(client.connect()) << seed;
    client.send("hello");
    EXPECT_EQ(client.receive(5), "hello");
    EXPECT_EQ(server_->connections[0]->peer, "[2001:db8::1]:258");
  }
}

}  // namespace
}  // namespace sluice::net
