// Shared subscriptions of stored sessions, through servers on one shard and on two, over crashes.
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "mqtt/stored_server_test.h"

namespace sluice::mqtt {
namespace {

using namespace std::chrono_literals;

constexpr auto pubrec = PacketType::pubrec, pubrel = PacketType::pubrel,
               pubcomp = PacketType::pubcomp;
const std::string shared = "$share/g/a/#";

class SharedStored : public StoredServerTest {
 protected:
  TestClient member(std::string_view id, std::uint8_t qos, const std::string& text = shared) {
    auto made = client(id);
    SLUICE_ASSERT(made.subscribe({{.filter = text, .qos = qos}}) == std::vector<int>{qos});
    return made;
  }
  // Member 1, which has got "a" at QoS 2 and has not answered. Member 2 is away.
  TestClient member_in_exchange() {
    auto two = member("2", 2);
    lose(two);
    auto one = member("1", 2);
    publish("a", 2);
    exchange = one.next_publish().packet_id;
    return one;
  }

  std::uint16_t exchange = 0;
};

INSTANTIATE_TEST_SUITE_P(Shards, SharedStored, testing::Values(1u, 2u));

TEST_P(SharedStored, WhatComesWhileAllMembersAreAwayIsForTheFirstThatIsBack) {
  {
    auto one = member("1", 1), two = member("2", 1);
    lose(one);
    lose(two);
  }
  publish("a");
  publish("b");
  auto two = client("2");
  EXPECT_EQ(payload_of(two), "a");
  EXPECT_EQ(payload_of(two), "b");
}

TEST_P(SharedStored, SoItIsAfterACrash) {
  {
    auto one = member("1", 1);
    lose(one);
  }
  publish("a");
  crash();
  publish("b");
  auto one = client("1");
  EXPECT_EQ(payload_of(one), "a");
  EXPECT_EQ(payload_of(one), "b");
}

TEST_P(SharedStored, WhatWasNotAcknowledgedAtQos1GoesToAnotherAlsoAfterACrash) {
  {
    auto two = member("2", 1);
    lose(two);
    auto one = member("1", 1);
    publish("a");
    EXPECT_EQ(payload_of(one), "a");
  }
  crash();
  auto two = client("2");
  EXPECT_EQ(payload_of(two), "a");
}

// [MQTT-4.8.2-4], [MQTT-4.8.2-5]
TEST_P(SharedStored, AnExchangeOfQos2StaysWithItsMember) {
  auto one = member("1", 2);
  publish("a", 2);
  const auto id = one.next_publish().packet_id;
  lose(one);
  auto two = member("2", 2);
  EXPECT_TRUE(is_silent(two));
  auto again = client("1");
  const auto publish = again.next_publish();
  EXPECT_EQ(publish.packet_id, id);
  EXPECT_TRUE(publish.dup);
  again.ack(id, pubrec);
  again.next_ack(pubrel);
  again.ack(id, pubcomp);
  EXPECT_TRUE(is_silent(two));
}

TEST_P(SharedStored, AnExchangeOfQos2StaysWithItsMemberOverACrash) {
  member_in_exchange();
  crash();
  auto two = client("2");
  EXPECT_TRUE(is_silent(two));
  auto one = client("1");
  EXPECT_EQ(one.next_publish().packet_id, exchange);
}

TEST_P(SharedStored, AnExchangeOfQos2ThatIsOverIsNotDoneAgainAfterACrash) {
  {
    auto one = member_in_exchange();
    one.ack(exchange, pubrec);
    one.next_ack(pubrel);
    one.ack(exchange, pubcomp);
    broker->hub.world.run_for(10ms);
  }
  crash();
  auto one = client("1"), two = client("2");
  while (one.next(1s)) EXPECT_EQ(one.frame().type, pubrel) << "the hub may have missed PUBCOMP";
  EXPECT_TRUE(is_silent(two));
}

TEST_P(SharedStored, TheGroupEndsWithTheLastSessionThatHoldsIt) {
  auto one = member("1", 1);
  one.disconnect();
  broker->hub.world.run_for(1s);
  client("1", false);  // clean start
  publish("a");
  auto again = member("1", 1);
  publish("b");
  EXPECT_EQ(payload_of(again), "b");
}

TEST_P(SharedStored, WhoUnsubscribesHoldsItNoMore) {
  auto one = member("1", 1);
  Buffer filters, wire;
  append_filter(filters, shared);
  encode_unsubscribe(wire, Version::v5, {.packet_id = 3, .properties = {}, .filters = filters});
  one.send(wire);
  ASSERT_TRUE(one.next() && one.frame().type == PacketType::unsuback);
  broker->hub.world.run_for(1s);
  publish("a");
  ASSERT_EQ(one.subscribe({{.filter = shared, .qos = 1}}), std::vector<int>{1});
  publish("b");
  EXPECT_EQ(payload_of(one), "b");
}

TEST_P(SharedStored, WhoSubscribesAgainAtOnceHoldsItStill) {
  {
    auto one = member("1", 1);
    Buffer filters, subscriptions, wire;
    append_filter(filters, shared);
    encode_unsubscribe(wire, Version::v5, {.packet_id = 3, .properties = {}, .filters = filters});
    append_subscription(subscriptions, {.filter = shared, .qos = 1});
    encode_subscribe(wire, Version::v5,
                     {.packet_id = 4, .properties = {}, .filters = subscriptions});
    one.send(wire);
    ASSERT_TRUE(one.next() && one.next());
    lose(one);
  }
  publish("a");
  crash();
  auto again = client("1");
  EXPECT_EQ(payload_of(again), "a");
}

TEST_P(SharedStored, AQueueLastsWithoutAnySession) {
  const std::string queue = "$queue/jobs/a/#";
  {
    auto worker = client("w", false);
    ASSERT_EQ(worker.subscribe({{.filter = queue, .qos = 1}}), std::vector<int>{1});
  }
  crash();
  publish("a");
  auto worker = client("w", false);
  ASSERT_EQ(worker.subscribe({{.filter = queue, .qos = 1}}), std::vector<int>{1});
  EXPECT_EQ(payload_of(worker), "a");
}

}  // namespace
}  // namespace sluice::mqtt
