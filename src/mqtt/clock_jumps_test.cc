// The wall clock of the machine is set while clients are connected. What is counted from it
// (message expiry) stays within its bounds; what is not (delays, keep-alive) does not notice.

#include <gtest/gtest.h>

#include <chrono>

#include "mqtt/broker_test.h"

namespace sluice::mqtt {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

struct ClockTest {
  ClockTest() : broker(1, {.limits = {.max_inflight = 1}}), publisher(broker.client()) {
    SLUICE_ASSERT(publisher.connect("publisher") == 0);
  }
  void publish(std::string_view topic, std::string_view payload, std::uint32_t expiry_s,
               bool retain = false) {
    Buffer properties;
    PropertyWriter(properties).number(PropertyId::message_expiry, expiry_s);
    publisher.publish(topic, payload, 1, 1, retain, {properties});
    SLUICE_ASSERT(publisher.next_ack().code == 0);
  }
  TestClient subscribed(std::string_view filter, std::string_view client_id) {
    TestClient client = broker.client();
    SLUICE_ASSERT(client.connect(client_id) == 0);
    client.subscribe({{.filter = filter, .qos = 1}});
    return client;
  }
  void jump(runtime::Duration by) {
    broker.hub.world.step_wall_clock(by);
    broker.hub.world.run_for(seconds(2));
  }

  Broker broker;
  TestClient publisher;
};

// The next message and what is left of its time, 0 if it does not expire.
struct Received {
  std::string payload;
  std::uint32_t rest_s = 0;
};

Received take(TestClient& subscriber) {
  const Publish publish = subscriber.next_publish();
  Received received{.payload = std::string(as_text(publish.payload))};
  for_each_property(publish.properties, [&](const Property& property) {
    if (property.id == PropertyId::message_expiry) received.rest_s = property.number;
  });
  subscriber.ack(publish.packet_id);
  return received;
}

TEST(ClockJumps, BackNoMessageGetsMoreTimeThanItsPublisherGaveIt) {
  ClockTest test;
  auto subscriber = test.subscribed("t", "s");
  test.publish("t", "first", 100);
  test.publish("t", "second", 10);  // waits: one message may be under way
  test.publish("r", "retained", 10, true);
  test.jump(-hours(24));
  EXPECT_EQ(take(subscriber).payload, "first");
  const Received second = take(subscriber);
  EXPECT_EQ(second.payload, "second");
  EXPECT_LE(second.rest_s, 10u);
  EXPECT_GE(second.rest_s, 1u);
  auto late = test.subscribed("r", "late");
  EXPECT_LE(take(late).rest_s, 10u);
}

TEST(ClockJumps, ForwardEndsTheTimeOfWhatExpiresWithinTheJumpAndOfNothingElse) {
  ClockTest test;
  auto subscriber = test.subscribed("t", "s");
  test.publish("t", "first", 100'000);
  test.publish("t", "within", 100);
  test.publish("t", "beyond", 10'000);
  test.publish("r/within", "within", 100, true);
  test.publish("r/beyond", "beyond", 10'000, true);
  test.jump(hours(1));
  EXPECT_EQ(take(subscriber).payload, "first");
  const Received beyond = take(subscriber);
  EXPECT_EQ(beyond.payload, "beyond");
  EXPECT_NEAR(beyond.rest_s, 6'400, 10);
  auto late = test.subscribed("r/+", "late");
  EXPECT_EQ(take(late).payload, "beyond");
  EXPECT_FALSE(late.next(seconds(5)));
}

TEST(ClockJumps, MessagesGoOnInOrderAndNewOnesHaveTheirWholeTime) {
  ClockTest test;
  auto subscriber = test.subscribed("t", "s");
  int sent = 0;
  for (const auto by : {hours(0), hours(-24 * 40), hours(24 * 80), hours(-1), hours(1)}) {
    test.jump(by);
    for (int i = 0; i < 3; ++i) test.publish("t", std::to_string(sent + i), 50);
    for (int i = 0; i < 3; ++i) {
      const Received received = take(subscriber);
      EXPECT_EQ(received.payload, std::to_string(sent + i));
      EXPECT_EQ(received.rest_s, 50u);
    }
    sent += 3;
  }
}

TEST(ClockJumps, AWillComesAfterItsDelayWhateverTheWallClockSays) {
  for (const auto by : {-hours(24), hours(24)}) {
    ClockTest test;
    auto watcher = test.subscribed("will", "watcher");
    Buffer delay;
    PropertyWriter(delay).number(PropertyId::will_delay, 100);
    Buffer expiry;
    PropertyWriter(expiry).number(PropertyId::session_expiry, 1000);
    auto client = test.broker.client();
    const Will will{.topic = "will", .payload = as_bytes("gone"), .qos = 1, .properties = {delay}};
    ASSERT_EQ(client.connect("c", {.will = will, .properties = {expiry}}), 0);
    client.wire().close();
    const auto start = test.broker.hub.world.now();
    test.jump(by);
    ASSERT_TRUE(watcher.next(seconds(200)));
    EXPECT_GE(test.broker.hub.world.now() - start, seconds(100));
    EXPECT_LE(test.broker.hub.world.now() - start, seconds(104));
  }
}

TEST(ClockJumps, NobodyIsTakenForSilentAndWhoIsSilentIsFound) {
  for (const auto by : {-hours(24), hours(24)}) {
    ClockTest test;
    auto client = test.broker.client();
    ASSERT_EQ(client.connect("c", {.keep_alive_s = 100}), 0);
    const auto start = test.broker.hub.world.now();
    test.jump(by);
    EXPECT_FALSE(client.next(seconds(120))) << "1.5 times the keep-alive";
    EXPECT_FALSE(client.wire().ended());
    EXPECT_EQ(client.next_disconnect(), 0x8d);
    EXPECT_LE(test.broker.hub.world.now() - start, seconds(160));
  }
}

}  // namespace
}  // namespace sluice::mqtt
