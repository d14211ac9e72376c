#include "mqtt/session_removal.h"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "mqtt/stored_broker_test.h"
#include "mqtt/test_client_test.h"

namespace sluice::mqtt {
namespace {

using std::chrono::seconds;

constexpr std::uint32_t expiry_s = 3600;

Options options() {
  Options options;
  options.limits.session_expiry_max_s = expiry_s;
  return options;
}

struct RemovalTest {
  explicit RemovalTest(std::uint64_t seed = 1)
      : broker(seed, 2, std::make_shared<hub::SimMachine>(seed), options(), {}),
        random(seed),
        watcher(client()) {
    SLUICE_ASSERT(watcher.connect("watcher") == 0);
    watcher.subscribe({{.filter = "gone", .qos = 1}});
  }

  TestClient client(Version version = Version::v5, std::uint32_t shard = 0) {
    return {broker.hub.world, broker.endpoints[shard], version};
  }
  // A client with a stored session and a will, that of MQTT 5 with a long delay. Whether the
  // session was there; nothing: there was no CONNACK.
  static std::optional<bool> connect(TestClient& client, const std::string& id = "dev",
                                     Version version = Version::v5) {
    Buffer delay, properties;
    if (version == Version::v5) {
      PropertyWriter(delay).number(PropertyId::will_delay, 1000);
      PropertyWriter(properties).number(PropertyId::session_expiry, expiry_s);
    }
    const auto code = client.connect(id, {.clean_start = false,
                                          .will = Will{.topic = "gone",
                                                       .payload = as_bytes(std::string_view("dev")),
                                                       .qos = 1,
                                                       .properties = {delay}},
                                          .properties = {properties}});
    if (!code) return std::nullopt;
    SLUICE_ASSERT(*code == 0);
    return decode_connack(client.frame().body, version)->session_present;
  }
  void vanish(TestClient& client) {
    const std::size_t before = connections();
    client.wire().close();
    SLUICE_ASSERT(broker.hub.world.run_until([&] { return connections() < before; }));
  }
  std::size_t connections() {
    std::size_t all = 0;
    for (auto& server : broker.servers) all += server->connections();
    return all;
  }

  void start(const std::string& id) {
    answer.reset();
    std::make_shared<SessionRemoval>(*broker.hub.hubs[0], *broker.sessions[0],
                                     Random(random.next()), id,
                                     [this](Result<bool> removed) { answer = std::move(removed); })
        ->start();
  }
  Result<bool> remove(const std::string& id = "dev") {
    start(id);
    SLUICE_ASSERT(broker.hub.world.run_until([&] { return answer.has_value(); }));
    return *answer;
  }
  // Whether the will of "dev" is published within a few seconds.
  bool will_comes() {
    if (!watcher.next(seconds(5))) return false;
    const auto will = decode_publish(watcher.frame(), Version::v5).value();
    watcher.ack(will.packet_id);
    return as_text(will.payload) == "dev";
  }

  StoredBroker broker;
  Random random;
  TestClient watcher;
  std::optional<Result<bool>> answer;
};

TEST(SessionRemoval, EndsTheSessionOfAClientThatIsAway) {
  for (const char* id : {"a", "b", "c", "d"}) {  // whose homes are on both shards
    RemovalTest test;
    auto client = test.client();
    ASSERT_EQ(test.connect(client, id), false);
    test.vanish(client);
    EXPECT_EQ(test.remove(id), true);
    EXPECT_EQ(test.remove(id), false) << "it was there once";
    auto again = test.client();
    EXPECT_EQ(test.connect(again, id), false);
  }
}

TEST(SessionRemoval, TheWillOfASessionThatIsOverWaitsNoLonger) {
  RemovalTest away(2);
  auto client = away.client(Version::v5, 1);
  away.connect(client);
  away.vanish(client);
  ASSERT_FALSE(away.will_comes()) << "it has a delay";
  ASSERT_EQ(away.remove(), true);
  EXPECT_TRUE(away.will_comes());
  EXPECT_FALSE(away.will_comes()) << "once";

  RemovalTest connected(3);
  auto other = connected.client(Version::v5, 1);
  connected.connect(other);
  ASSERT_EQ(connected.remove(), true);
  EXPECT_TRUE(connected.will_comes());
  EXPECT_FALSE(connected.will_comes());
}

TEST(SessionRemoval, AConnectedClientIsEndedFirstAndToldWhy) {
  for (const Version version : {Version::v3_1_1, Version::v5}) {
    for (const std::uint32_t shard : {0u, 1u}) {
      RemovalTest test(4);
      auto client = test.client(version, shard);
      test.connect(client, "dev", version);
      client.subscribe({{.filter = "a", .qos = 1}});
      EXPECT_EQ(test.remove(), true);
      if (version == Version::v5) {
        ASSERT_EQ(client.next_disconnect(), 0x98);
      }
      EXPECT_FALSE(client.next()) << "closed";
      auto again = test.client(version, 1 - shard);
      EXPECT_EQ(test.connect(again, "dev", version), false);
    }
  }
}

TEST(SessionRemoval, AClientWithoutAStoredSessionIsLeftAlone) {
  RemovalTest test(5);
  auto client = test.client();
  ASSERT_EQ(client.connect("clean"), 0);
  EXPECT_EQ(test.remove("clean"), false);
  client.publish("a", "x", 1, 1);
  EXPECT_EQ(client.next_ack().packet_id, 1);
}

// By seed: the client is back before, while, or after its session goes.
TEST(SessionRemoval, WhoComesMeanwhileBeginsAnewOrIsEnded) {
  int went_on = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    RemovalTest test(seed);
    auto client = test.client(Version::v5, 1);
    test.connect(client);
    test.start("dev");
    test.broker.hub.world.run_for(std::chrono::microseconds(test.random.below(2000)));
    auto again = test.client(Version::v5, static_cast<std::uint32_t>(seed % 2));
    const auto was_present = test.connect(again);
    ASSERT_TRUE(test.broker.hub.world.run_until([&] { return test.answer.has_value(); }));
    ASSERT_EQ(*test.answer, true) << "seed " << seed;
    if (!again.next(seconds(1)) && !again.wire().ended()) {
      EXPECT_EQ(was_present, false) << "seed " << seed;
      ++went_on;
    }
  }
  EXPECT_GT(went_on, 0);
}

// In its row it is connected, whoever claims the id.
TEST(SessionRemoval, AClientThatIsBackEachTimeIsSaidToBe) {
  RemovalTest test(6);
  std::optional<sessions::Opened> opened;
  test.broker.sessions[0]->connect(
      {.client_id = "dev", .clean = false, .expiry_s = expiry_s},
      [&](Result<sessions::Opened> result) { opened = std::move(*result); });
  ASSERT_TRUE(test.broker.hub.world.run_until([&] { return opened.has_value(); }));
  const auto removed = test.remove();
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().code, Errc::exists);
  EXPECT_NE(removed.error().text.find("'dev'"), std::string::npos);
  auto client = test.client();
  EXPECT_EQ(test.connect(client), true) << "the id was given back";
}

}  // namespace
}  // namespace sluice::mqtt
