// Wills with a delay, over connections that come and go.

#include "mqtt/wills.h"

#include <gtest/gtest.h>

#include "mqtt/broker_test.h"

namespace sluice::mqtt {
namespace {

using std::chrono::seconds;

// A CONNECT with a will for the topic will/<client>; times in seconds.
class WithWill {
 public:
  WithWill(std::uint32_t delay_s, std::uint32_t session_expiry_s) {
    PropertyWriter(will_).number(PropertyId::will_delay, delay_s);
    PropertyWriter(connect_).number(PropertyId::session_expiry, session_expiry_s);
  }
  [[nodiscard]] Connect connect(bool clean_start = false) const {
    return {
        .clean_start = clean_start,
        .will = Will{.topic = "will", .payload = as_bytes("gone"), .qos = 2, .properties = {will_}},
        .properties = {connect_}};
  }

 private:
  Buffer will_;
  Buffer connect_;
};

struct WillTest {
  explicit WillTest(std::uint64_t seed, Options options = {}, std::uint32_t shards = 1)
      : broker(seed, options, shards), watcher(broker.client()) {
    SLUICE_ASSERT(watcher.connect("watcher") == 0);
    watcher.subscribe({{.filter = "will", .qos = 2}});
  }
  // A client connects with the will and vanishes.
  void vanish(std::string_view client_id, const WithWill& will, std::uint32_t shard = 0) {
    auto client = broker.client(Version::v5, shard);
    SLUICE_ASSERT(client.connect(client_id, will.connect()) == 0);
    client.wire().close();
    SLUICE_ASSERT(
        broker.hub.world.run_until([&] { return broker.servers[shard]->connections() <= 1; }));
  }
  bool comes(runtime::Duration within) {
    if (!watcher.next(within)) return false;
    const auto will = decode_publish(watcher.frame(), Version::v5).value();
    SLUICE_ASSERT(will.topic == "will" && as_text(will.payload) == "gone" && will.qos == 2);
    watcher.ack(will.packet_id, PacketType::pubrec);
    SLUICE_ASSERT(watcher.next_ack(PacketType::pubrel).packet_id == will.packet_id);
    return true;
  }

  Broker broker;
  TestClient watcher;
};

TEST(Wills, ADelayedWillComesAfterItsDelayAndNeverBefore) {
  for (const std::uint32_t delay_s : {1u, 2u, 30u, 700u, 2000u}) {
    for (std::uint64_t seed = 0; seed < 3; ++seed) {
      WillTest test(seed);
      const auto start = test.broker.hub.world.now();
      test.vanish("c", WithWill(delay_s, 5000));
      ASSERT_TRUE(test.comes(seconds(3000)));
      const auto passed = test.broker.hub.world.now() - start;
      EXPECT_GE(passed, seconds(delay_s));
      EXPECT_LE(passed, seconds(delay_s + 4));
      EXPECT_FALSE(test.comes(seconds(3000))) << "once";
    }
  }
}

TEST(Wills, TheEndOfTheSessionAndTheServersMaximumCutTheDelay) {
  for (const WithWill& will : {WithWill(1000, 10), WithWill(0xffff'ffff, 0xffff'ffff)}) {
    WillTest test(1, {.limits = {.will_delay_max_s = 10}});
    test.vanish("c", will);
    EXPECT_FALSE(test.comes(seconds(8)));
    EXPECT_TRUE(test.comes(seconds(5)));
  }
  WillTest test(1);
  test.vanish("c", WithWill(1000, 0));
  EXPECT_TRUE(test.comes(seconds(1))) << "no session was asked for";
}

TEST(Wills, AClientThatComesBackInTimeOnAnyShardCallsItsWillOff) {
  for (const std::uint32_t shard : {0u, 1u}) {
    for (int id = 0; id < 4; ++id) {  // so that its home is the one and the other
      WillTest test(shard, {}, 2);
      const std::string client_id = fmt::format("c{}", id);
      test.vanish(client_id, WithWill(20, 1000), 1);
      test.broker.hub.world.run_for(seconds(15));
      auto again = test.broker.client(Version::v5, shard);
      ASSERT_EQ(again.connect(client_id, {.clean_start = false}), 0);
      EXPECT_FALSE(test.comes(seconds(1000)));
    }
  }
}

TEST(Wills, AClientThatBeginsAnewEndsItsSessionAndTheWillComesAtOnce) {
  for (const std::uint32_t shard : {0u, 1u}) {
    WillTest test(shard, {}, 2);
    test.vanish("c", WithWill(500, 1000), 1);
    EXPECT_FALSE(test.comes(seconds(10)));
    auto again = test.broker.client(Version::v5, shard);
    ASSERT_EQ(again.connect("c", {.clean_start = true}), 0);
    EXPECT_TRUE(test.comes(seconds(1)));
    EXPECT_FALSE(test.comes(seconds(1000))) << "once";
  }
}

TEST(Wills, AConnectionThatIsTakenOverLeavesItsWillByTheSameRules) {
  for (const bool clean : {true, false}) {
    for (const std::uint32_t delay_s : {0u, 10u}) {
      WillTest test(5);
      auto older = test.broker.client();
      ASSERT_EQ(older.connect("c", WithWill(delay_s, 1000).connect()), 0);
      auto newer = test.broker.client();
      ASSERT_EQ(newer.connect("c", {.clean_start = clean}), 0);
      EXPECT_EQ(test.comes(seconds(1)), clean || delay_s == 0);
      EXPECT_FALSE(test.comes(seconds(100)));
    }
  }
}

TEST(Wills, ThoseThatWaitAreBoundedInNumberAndBytes) {
  for (const Options& options :
       {Options{.wills_waiting_max = 1}, Options{.wills_bytes_max = 200}}) {
    WillTest test(3, options);
    test.vanish("first", WithWill(50, 1000));
    EXPECT_FALSE(test.comes(seconds(5)));
    test.vanish("second", WithWill(50, 1000));
    EXPECT_TRUE(test.comes(seconds(1))) << "there is no place: at once";
    EXPECT_NE(test.broker.metrics().find("sluice_mqtt_wills_waiting 1"), std::string::npos);
    EXPECT_TRUE(test.comes(seconds(50))) << "the first, in its time";
    EXPECT_NE(test.broker.metrics().find("sluice_mqtt_wills_waiting 0"), std::string::npos);
  }
}

TEST(Wills, WhenTheServerStopsAllArePublished) {
  Broker broker(4);
  auto client = broker.client();
  ASSERT_EQ(client.connect("c", WithWill(500, 1000).connect()), 0);
  auto staying = broker.client();
  ASSERT_EQ(staying.connect("staying", WithWill(500, 1000).connect()), 0);
  client.wire().close();
  ASSERT_TRUE(broker.hub.world.run_until([&] { return broker.servers[0]->connections() == 1; }));
  broker.servers[0]->stop();
  broker.hub.world.run_for(seconds(1));
  EXPECT_NE(broker.metrics().find("sluice_mqtt_wills_waiting 0"), std::string::npos);
  std::optional<Offset> end;
  const auto* stream = broker.hub.stream().catalogue().find("mqtt");
  broker.hub.stream().bounds({stream->id, 0}, [&](const Result<stream::Bounds>& bounds) {
    end = bounds.value().visible_end;
  });
  ASSERT_TRUE(broker.hub.world.run_until([&] { return end.has_value(); }));
  EXPECT_EQ(end->value, 2u) << "of the one that is gone, and of the one that was there";
}

// The disk stalls: what was published fills the room that the hub has, and the will waits for more.
TEST(Wills, AWillThatFindsNoRoomWaitsForIt) {
  log::Options log_options = hub::SimHub::small_log();
  log_options.pending_max = 32 << 10;
  Broker broker(2, {}, 1, log_options);
  auto watcher = broker.client();
  ASSERT_EQ(watcher.connect("watcher"), 0);
  watcher.subscribe({{.filter = "will"}});
  auto publisher = broker.client();
  ASSERT_EQ(publisher.connect("p"), 0);
  auto client = broker.client();
  ASSERT_EQ(client.connect("c", WithWill(0, 0).connect()), 0);
  broker.hub.world.options().worker_latency_max = seconds(10);
  for (std::uint16_t i = 1; i <= 400; ++i) publisher.publish("t", std::string(4000, 'x'), 1, i);
  ASSERT_TRUE(broker.hub.world.run_until([&] { return !broker.hub.hubs[0]->has_room(); }));
  client.wire().close();
  EXPECT_EQ(watcher.next_publish().topic, "will");
  EXPECT_EQ(broker.metrics().find("reason=\"will_not_stored\"} 1"), std::string::npos);
}

}  // namespace
}  // namespace sluice::mqtt
