#include "net/tls.h"

#include <gtest/gtest.h>

#include <ctime>

#include "net/certificates_test.h"
#include "net/echo_server_test.h"
#include "net/handshake_queue.h"
#include "net/tls_client_test.h"

namespace sluice::net {
namespace {

using std::chrono::seconds;

std::shared_ptr<const TlsContext> context_of(const TlsOptions& options) {
  auto made = TlsContext::make(options, static_cast<WallMs>(std::time(nullptr)) * 1000);
  return made.value();
}

std::string text_of_size(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i % 23);
  return text;
}

// A server of TLS, and its clients.
class TlsTest : public testing::Test {
 protected:
  void start(TlsOptions options = {}, std::uint64_t seed = 1, sim::SimWorld::Options world = {}) {
    if (options.credentials.key.content.empty()) options.credentials = authority_.issue("hub");
    server_ = std::make_unique<EchoServer>(seed, world);
    server_->listeners.set_tls(context_of(options));
    endpoint_ = server_->listen(Transport::tls);
  }
  TlsClient client(TlsClient::Options options = {}) {
    return {server_->world, endpoint_, std::move(options)};
  }
  // How a client fares that shows `certificate`.
  bool is_served(const Credentials* certificate, int version = TLS1_3_VERSION) {
    TlsClient it = client({.version = version, .certificate = certificate});
    it.connect();  // a client of TLS 1.3 is done before the server has looked at its certificate
    it.send("x");
    return it.receive(1) == "x";
  }
  int failures(std::string_view reason) {
    return server_->count("sluice_channel_failures_total", reason);
  }

  TestAuthority authority_;
  std::unique_ptr<EchoServer> server_;
  runtime::Endpoint endpoint_;
};

class TlsTransferTest : public TlsTest, public testing::WithParamInterface<std::tuple<int, int>> {};

TEST_P(TlsTransferTest, ManyBytesGoBothWaysWithinBounds) {
  const auto [version, seed] = GetParam();
  start({}, static_cast<std::uint64_t>(seed));
  TlsClient it = client({.version = version});
  ASSERT_TRUE(it.connect());
  const std::string text = text_of_size(300'000);
  it.wire().pause_reading();
  it.send(text);
  server_->world.run_for(seconds(20));  // until nothing moves any more
  it.wire().resume_reading();
  EXPECT_EQ(it.receive(text.size()), text);
  EXPECT_LE(server_->connections[0]->unsent_peak,
            EchoConnection::unsent_max + EchoConnection::share);
}

INSTANTIATE_TEST_SUITE_P(VersionsAndSeeds, TlsTransferTest,
                         testing::Combine(testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                                          testing::Range(1, 5)));

TEST_F(TlsTest, BytesMayArriveOneByOne) {
  sim::SimWorld::Options world;
  world.network.window_max = 1;
  start({}, 3, world);
  TlsClient it = client();
  ASSERT_TRUE(it.connect());
  it.send("hello");
  EXPECT_EQ(it.receive(5), "hello");
}

TEST_F(TlsTest, ALargeSendIsTakenInPartsByASlowClient) {
  start();
  TlsClient it = client();
  ASSERT_TRUE(it.connect());
  it.send("x");
  EXPECT_EQ(it.receive(1), "x");
  it.wire().pause_reading();
  const std::string text = text_of_size(1'000'000);
  server_->connections[0]->say(text);
  server_->world.run_for(seconds(5));
  EXPECT_GT(server_->connections[0]->unsent_peak, 500'000u) << "the layer must not take it all";
  it.wire().resume_reading();
  EXPECT_EQ(it.receive(text.size()), text);
}

TEST_F(TlsTest, VersionsBelowTheLowestAreRefused) {
  start();
  EXPECT_FALSE(client({.version = TLS1_1_VERSION}).connect());
  EXPECT_EQ(failures("reason=\"tls\""), 1);
  start({.version_min = TlsVersion::tls_1_3});
  EXPECT_FALSE(client({.version = TLS1_2_VERSION}).connect());
  EXPECT_TRUE(client({.version = TLS1_3_VERSION}).connect());
}

TEST_F(TlsTest, ARequiredCertificateMustBeThereAndValid) {
  TestAuthority stranger("stranger");
  const Credentials good = authority_.issue("device-7");
  const Credentials expired = authority_.issue("device-8", -3600);
  const Credentials foreign = stranger.issue("device-9");
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    start({.client_ca = authority_.certificate(),
           .client_certificates = ClientCertificates::required});
    EXPECT_FALSE(is_served(nullptr, version));
    EXPECT_FALSE(is_served(&expired, version));
    EXPECT_FALSE(is_served(&foreign, version));
    EXPECT_EQ(failures("reason=\"client_certificate\""), 3);
    EXPECT_TRUE(is_served(&good, version));
    EXPECT_EQ(server_->connections.back()->certificate_name, "device-7");
  }
}

TEST_F(TlsTest, AnOptionalCertificateMayBeMissingButNotWrong) {
  start(
      {.client_ca = authority_.certificate(), .client_certificates = ClientCertificates::optional});
  EXPECT_TRUE(is_served(nullptr));
  EXPECT_EQ(server_->connections.back()->certificate_name, "");
  const Credentials expired = authority_.issue("device", -3600);
  EXPECT_FALSE(is_served(&expired));
}

TEST_F(TlsTest, TheHostNameChoosesTheCertificate) {
  start({.credentials = authority_.issue("default"),
         .hosts = {{"a.example.org", authority_.issue("exact")},
                   {"_.example.org", authority_.issue("wild")}}});
  const auto shown_to = [this](const std::string& name) {
    TlsClient it = client({.server_name = name});
    EXPECT_TRUE(it.connect()) << name;
    return it.server_certificate();
  };
  EXPECT_EQ(shown_to(""), "default");
  EXPECT_EQ(shown_to("a.example.org"), "exact");
  EXPECT_EQ(shown_to("A.Example.ORG"), "exact");
  EXPECT_EQ(shown_to("b.example.org"), "wild");
  EXPECT_EQ(shown_to("c.b.example.org"), "default");
  EXPECT_EQ(shown_to("example.org"), "default");
}

TEST_F(TlsTest, AReloadIsForNewConnectionsOnly) {
  start({.credentials = authority_.issue("old")});
  TlsClient before = client();
  ASSERT_TRUE(before.connect());
  server_->listeners.set_tls(context_of({.credentials = authority_.issue("new")}));
  TlsClient after = client();
  ASSERT_TRUE(after.connect());
  EXPECT_EQ(before.server_certificate(), "old");
  EXPECT_EQ(after.server_certificate(), "new");
  before.send("still here");
  EXPECT_EQ(before.receive(10), "still here");
}

TEST_F(TlsTest, ASessionIsResumedByItsTicketAndKeepsTheCertificate) {
  const Credentials device = authority_.issue("device-7");
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    start({.client_ca = authority_.certificate(),
           .client_certificates = ClientCertificates::required});
    TlsClient first = client({.version = version, .certificate = &device});
    ASSERT_TRUE(first.connect());
    first.send("x");
    first.receive(1);  // the ticket comes before it
    const auto session = first.session();
    TlsClient second =
        client({.version = version, .certificate = &device, .session = session.get()});
    ASSERT_TRUE(second.connect());
    second.send("y");
    EXPECT_EQ(second.receive(1), "y");
    EXPECT_TRUE(second.resumed());
    EXPECT_EQ(server_->connections.back()->certificate_name, "device-7");
    EXPECT_EQ(server_->count("sluice_tls_handshakes_total", "resumed=\"true\""), 1);
  }
}

TEST_F(TlsTest, WhatIsNoTlsIsRefused) {
  start();
  auto plain = std::move(server_->world.connect(endpoint_).value());
  plain->send(as_bytes("GET / HTTP/1.1\r\nHost: hub\r\n\r\n"));
  EXPECT_TRUE(server_->world.run_until([&] { return plain->ended(); }, seconds(5)));
  EXPECT_EQ(failures("reason=\"tls\""), 1);
  EXPECT_FALSE(server_->connections[0]->open);
}

TEST_F(TlsTest, AHandshakeHasADeadline) {
  start();
  const auto silent = std::move(server_->world.connect(endpoint_).value());
  server_->world.run_for(seconds(9));
  EXPECT_FALSE(silent->ended());
  server_->world.run_for(seconds(3));
  EXPECT_TRUE(silent->ended());
  EXPECT_EQ(failures("reason=\"timeout\""), 1);

  TlsClient done = client();
  ASSERT_TRUE(done.connect());
  server_->world.run_for(seconds(30));
  EXPECT_TRUE(server_->connections[1]->open) << "only a handshake";
}

TEST_F(TlsTest, ClosingTellsTheClient) {
  start();
  TlsClient it = client();
  ASSERT_TRUE(it.connect());
  it.send("x");
  it.receive(1);
  server_->connections[0]->end();
  EXPECT_TRUE(it.ends_cleanly());
}

TEST_F(TlsTest, ConnectionsThatAreResetAtAnyMomentEnd) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    sim::SimWorld::Options world;
    world.network.reset_one_in = 6;
    start({}, seed, world);
    {
      TlsClient it = client();
      it.connect();
      it.send(text_of_size(50'000));
      it.receive(50'000);
    }
    server_->world.run_for(seconds(30));
    EXPECT_FALSE(server_->connections[0]->open) << seed;
  }
}

// Counts in each turn how many handshakes have gone a step further.
class StepsPerTurn final : public runtime::TurnHook {
 public:
  explicit StepsPerTurn(EchoServer& server) : server_(server) {
    server_.world.loop(0).add_turn_hook(*this, runtime::TurnPhase::send);
  }
  ~StepsPerTurn() { server_.world.loop(0).remove_turn_hook(*this); }
  void on_turn_end() override {
    std::size_t events = 0;
    for (const auto& connection : server_.connections) events += connection->events;
    peak = std::max(peak, events - before_);
    before_ = events;
  }
  std::size_t peak = 0;

 private:
  EchoServer& server_;
  std::size_t before_ = 0;
};

TEST_F(TlsTest, AStormOfHandshakesTakesTurns) {
  sim::SimWorld::Options world;
  world.network.delay_max = std::chrono::nanoseconds(1);
  world.network.stall_one_in = 0;
  start({}, 1, world);
  StepsPerTurn steps(*server_);
  std::vector<std::unique_ptr<TlsClient>> clients;
  for (int i = 0; i < 60; ++i) {
    clients.push_back(std::make_unique<TlsClient>(server_->world, endpoint_, TlsClient::Options{}));
    clients.back()->pump();
  }
  clients[30].reset();  // one that leaves while it waits
  server_->world.run_for(seconds(1));
  for (const auto& it : clients) EXPECT_TRUE(!it || it->connect());
  server_->world.run_for(seconds(1));
  EXPECT_EQ(server_->count("sluice_tls_handshakes_total"), 59);
  EXPECT_GT(steps.peak, 1u);
  EXPECT_LE(steps.peak, HandshakeQueue::steps_per_turn);
}

}  // namespace
}  // namespace sluice::net
