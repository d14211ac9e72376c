// What clients see of rates, in simulated time.

#include <gtest/gtest.h>

#include "mqtt/broker_test.h"

namespace sluice::mqtt {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Version both[] = {Version::v3_1_1, Version::v5};

// A broker whose network and disk take next to no time, and a subscriber that counts.
class RatesTest : public testing::Test {
 protected:
  explicit RatesTest(std::uint32_t shards = 1) : broker_(1, {}, shards), watcher_(make_watcher()) {
    EXPECT_EQ(watcher_.connect("watcher"), 0);
    watcher_.subscribe({{.filter = "#"}});
  }
  TestClient make_watcher() {
    broker_.hub.world.options().network = {.delay_max = std::chrono::microseconds(10),
                                           .stall_one_in = 0};
    return broker_.client();
  }
  std::shared_ptr<Listener> listener(const Rates& client, const Rates& all = {},
                                     RateAction action = RateAction::throttle) {
    ListenerOptions options{.name = "rated", .rates = all};
    options.limits.client_rates = client;
    options.limits.rate_action = action;
    return std::make_shared<Listener>(options);
  }
  // Messages that reach the watcher in this time.
  int arrive_within(runtime::Duration time) {
    const auto end = broker_.hub.world.now() + time;
    int count = 0;
    while (broker_.hub.world.now() < end && watcher_.next(end - broker_.hub.world.now())) ++count;
    if (broker_.hub.world.now() < end) broker_.hub.world.run_for(end - broker_.hub.world.now());
    return count;
  }
  static void publish(TestClient& client, int count, std::uint8_t qos = 0, std::size_t size = 1) {
    for (int i = 1; i <= count; ++i)
      client.publish("t", std::string(size, 'x'), qos, static_cast<std::uint16_t>(qos > 0 ? i : 0));
  }
  bool metrics_say(const std::string& row) {
    return broker_.metrics().find("\n" + row + "\n") != std::string::npos;
  }

  Broker broker_;
  TestClient watcher_;
};

TEST_F(RatesTest, AClientThatPublishesTooMuchIsReadFromAtItsRateAndNothingIsLost) {
  for (const Version version : both) {
    auto client = broker_.client(listener({.messages = 10}), version);
    ASSERT_EQ(client.connect("c"), 0);
    publish(client, 50, 1);
    EXPECT_EQ(arrive_within(milliseconds(50)), 10) << "a second's worth at once";
    EXPECT_EQ(arrive_within(seconds(2)), 20);
    EXPECT_EQ(arrive_within(seconds(10)), 20);
    for (int i = 1; i <= 50; ++i) {
      const Ack ack = client.next_ack();
      ASSERT_EQ(ack.packet_id, i);
      ASSERT_EQ(ack.code, 0);
    }
  }
}

TEST_F(RatesTest, BytesAreCountedToo) {
  auto client = broker_.client(listener({.bytes = 1000}));
  ASSERT_EQ(client.connect("c"), 0);
  publish(client, 30, 0, 99);  // and a byte of topic
  EXPECT_NEAR(arrive_within(milliseconds(50)), 10, 1) << "the last one on a debt";
  EXPECT_EQ(arrive_within(seconds(1)), 10);
}

TEST_F(RatesTest, OneClientThatWaitsDoesNotHoldUpAnother) {
  const auto rated = listener({.messages = 10});
  auto greedy = broker_.client(rated);
  auto modest = broker_.client(rated);
  ASSERT_EQ(greedy.connect("greedy"), 0);
  ASSERT_EQ(modest.connect("modest"), 0);
  publish(greedy, 1000);
  EXPECT_EQ(arrive_within(milliseconds(50)), 10);
  modest.publish("m", "at once", 1, 1);
  ASSERT_TRUE(modest.next(milliseconds(50)));
  EXPECT_EQ(modest.frame().type, PacketType::puback);
}

TEST_F(RatesTest, AClientThatWaitsIsNotSilent) {
  auto client = broker_.client(listener({.messages = 1}), Version::v3_1_1);
  ASSERT_EQ(client.connect("c", {.keep_alive_s = 2}), 0);
  publish(client, 20);
  EXPECT_EQ(arrive_within(seconds(25)), 20) << "its PINGREQ cannot be read, and so is not missed";
}

TEST_F(RatesTest, TheRateOfAListenerIsForAllItsClientsAndServesThemInTurn) {
  const auto rated = listener({}, {.messages = 20});
  std::vector<TestClient> clients;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(broker_.client(rated));
    ASSERT_EQ(clients.back().connect("c" + std::to_string(i)), 0);
  }
  for (TestClient& client : clients) publish(client, 40, 1);
  const int at_once = arrive_within(milliseconds(20));
  EXPECT_GE(at_once, 20);
  EXPECT_LE(at_once, 21);
  EXPECT_NEAR(arrive_within(seconds(5)), 100, 1);
  EXPECT_NEAR(arrive_within(seconds(10)), 200 - at_once - 100, 2);
  for (TestClient& client : clients)
    for (int i = 1; i <= 40; ++i) ASSERT_EQ(client.next_ack().packet_id, i);
}

TEST_F(RatesTest, AClientThatGoesWhileItWaitsLeavesItsPlaceToOthers) {
  const auto rated = listener({}, {.messages = 1});
  auto first = broker_.client(rated);
  auto second = broker_.client(rated);
  auto third = broker_.client(rated);
  for (TestClient* client : {&first, &second, &third})
    ASSERT_EQ(client->connect(std::to_string(client - &first)), 0);
  publish(first, 3);
  broker_.hub.world.run_for(milliseconds(5));
  publish(second, 3);
  broker_.hub.world.run_for(milliseconds(5));
  publish(third, 1, 1);
  second.wire().reset();
  ASSERT_TRUE(third.next(seconds(5)));
  EXPECT_EQ(third.frame().type, PacketType::puback);
}

TEST_F(RatesTest, DropLosesQos0AndRefusesTheRestInVersion5) {
  auto client = broker_.client(listener({.messages = 2}, {}, RateAction::drop));
  ASSERT_EQ(client.connect("c"), 0);
  publish(client, 5);
  publish(client, 2, 1);
  client.publish("t", "x", 2, 3);
  for (int i = 1; i <= 2; ++i) EXPECT_EQ(client.next_ack().code, 0x97);
  const Ack pubrec = client.next_ack(PacketType::pubrec);
  EXPECT_EQ(pubrec.packet_id, 3);
  EXPECT_EQ(pubrec.code, 0x97);
  EXPECT_EQ(arrive_within(seconds(5)), 2);
  EXPECT_TRUE(metrics_say("sluice_messages_dropped_total{protocol=\"mqtt\",reason=\"rate\"} 6"));
  client.publish("t", "x", 2, 3);
  EXPECT_EQ(client.next_ack(PacketType::pubrec).code, 0) << "the id is free, and there is room";
}

TEST_F(RatesTest, Drop311NeverAcknowledgesWhatIsNotStored) {
  auto client = broker_.client(listener({.messages = 2}, {}, RateAction::drop), Version::v3_1_1);
  ASSERT_EQ(client.connect("c"), 0);
  publish(client, 6, 1);
  for (int i = 1; i <= 6; ++i) EXPECT_EQ(client.next_ack().packet_id, i);
  EXPECT_EQ(arrive_within(seconds(1)), 6) << "they waited";
  publish(client, 6);
  EXPECT_LE(arrive_within(seconds(5)), 3) << "QoS 0 is dropped";
}

TEST_F(RatesTest, DisconnectSaysTheReason) {
  auto client = broker_.client(listener({.messages = 2}, {}, RateAction::disconnect));
  ASSERT_EQ(client.connect("c"), 0);
  publish(client, 3);
  EXPECT_EQ(client.next_disconnect(), 0x96);
  EXPECT_TRUE(metrics_say("sluice_mqtt_refusals_total{reason=\"message_rate_too_high\"} 1"));
  auto old = broker_.client(listener({.messages = 2}, {}, RateAction::disconnect), Version::v3_1_1);
  ASSERT_EQ(old.connect("old"), 0);
  publish(old, 3, 1);
  while (old.next())
    EXPECT_LE(decode_ack(old.frame().body, Version::v3_1_1)->packet_id, 2) << "not the third";
}

TEST_F(RatesTest, AMessageThatWaitsForTheHubCountsOnce) {
  log::Options log_options = hub::SimHub::small_log();
  log_options.pending_max = 8 << 10;
  Broker broker(1, {}, 1, log_options);
  broker.hub.world.options().worker_latency_max = milliseconds(20);
  auto client = broker.client(listener({.messages = 100}));
  ASSERT_EQ(client.connect("c"), 0);
  for (std::uint16_t i = 1; i <= 100; ++i) client.publish("t", std::string(3000, 'x'), 1, i);
  ASSERT_TRUE(broker.hub.world.run_until([&] { return !broker.hub.hubs[0]->has_room(); }));
  for (int i = 1; i <= 100; ++i) ASSERT_EQ(client.next_ack().packet_id, i);
  EXPECT_NE(broker.metrics().find("sluice_mqtt_throttled_total 0"), std::string::npos);
}

class TwoShardRatesTest : public RatesTest {
 protected:
  TwoShardRatesTest() : RatesTest(2) {}
};

TEST_F(TwoShardRatesTest, TheRateOfAListenerIsSharedByAllShards) {
  const auto rated = listener({}, {.messages = 50});
  auto here = broker_.client(rated, Version::v5, 0);
  auto there = broker_.client(rated, Version::v5, 1);
  ASSERT_EQ(here.connect("here"), 0);
  ASSERT_EQ(there.connect("there"), 0);
  publish(here, 400);
  publish(there, 400);
  const int at_once = arrive_within(milliseconds(20));
  EXPECT_LE(at_once, 102) << "each shard may read a share before it hears of the other's";
  EXPECT_NEAR(at_once + arrive_within(seconds(10)), 50 + 500, 10);
}

}  // namespace
}  // namespace sluice::mqtt
