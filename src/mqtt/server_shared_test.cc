// Shared subscriptions through the server, on one shard and on two.
#include <gtest/gtest.h>

#include "mqtt/sharded_server_test.h"

namespace sluice::mqtt {
namespace {

constexpr auto pubrec = PacketType::pubrec, pubrel = PacketType::pubrel;

class ServerShared : public ShardedServerTest {
 protected:
  TestClient member(std::string_view id, Version version = Version::v5, std::uint8_t qos = 2) {
    auto client = connected(id, version);
    SLUICE_ASSERT(client.subscribe({{.filter = "$share/g/a/#", .qos = qos}}) ==
                  std::vector<int>{qos});
    return client;
  }
};

INSTANTIATE_TEST_SUITE_P(Shards, ServerShared, testing::Values(1u, 2u));

TEST_P(ServerShared, MembersOfBothVersionsTakeTurns) {
  auto one = member("1", Version::v5), two = member("2", Version::v3_1_1);
  auto publisher = connected("p");
  for (const char* payload : {"a", "b", "c", "d"}) publisher.publish("a/x", payload);
  std::string got;
  for (auto* each : {&one, &two})
    for (int i = 0; i < 2; ++i) got += as_text(each->next_publish().payload);
  std::ranges::sort(got);
  EXPECT_EQ(got, "abcd");
  EXPECT_FALSE(one.next(std::chrono::seconds(1)));
}

TEST_P(ServerShared, WhatWasNotAcknowledgedAtQos1GoesToAnotherMemberAndIsNoRepeat) {
  auto one = member("1");
  auto publisher = connected("p");
  publisher.publish("a/x", "acknowledged", 1, 1);
  publisher.publish("a/x", "open", 1, 2);
  const auto id = one.next_publish().packet_id;
  ASSERT_EQ(as_text(one.next_publish().payload), "open");
  auto two = member("2", Version::v3_1_1);
  one.ack(id);
  broker.hub.world.run_for(std::chrono::seconds(1));
  one.wire().close();
  const auto again = two.next_publish();
  EXPECT_EQ(as_text(again.payload), "open");
  EXPECT_FALSE(again.dup) << "to this client it is new";
  EXPECT_FALSE(two.next(std::chrono::seconds(1)));
}

// [MQTT-4.8.2-5]
TEST_P(ServerShared, WhatIsUnderWayAtQos2GoesToNobodyElse) {
  auto one = member("1");
  auto publisher = connected("p");
  for (std::uint16_t id = 1; id <= 2; ++id) {
    publisher.publish("a/x", "open", 2, id);
    publisher.next_ack(pubrec);
    publisher.ack(id, pubrel);
    publisher.next_ack(PacketType::pubcomp);
  }
  const auto id = one.next_publish().packet_id;
  one.next_publish();
  one.ack(id, pubrec);
  ASSERT_TRUE(one.next() && one.frame().type == pubrel);
  auto two = member("2");
  one.wire().close();
  EXPECT_FALSE(two.next(std::chrono::seconds(1)));
}

TEST_P(ServerShared, AMemberWithAFullWindowIsPassedBy) {
  Buffer properties;
  PropertyWriter(properties).number(PropertyId::receive_maximum, 1);
  auto stuck = broker.client();
  ASSERT_EQ(stuck.connect("1", {.properties = {properties}}), 0);
  ASSERT_EQ(stuck.subscribe({{.filter = "$share/g/a/#", .qos = 1}}), std::vector<int>{1});
  auto one = member("2");
  auto publisher = connected("p");
  for (std::uint16_t i = 1; i <= 20; ++i)
    publisher.publish("a/" + std::to_string(i), std::to_string(i), 1, i);
  for (int i = 0; i < 19; ++i) one.next_publish();
  stuck.next_publish();
  EXPECT_FALSE(stuck.next(std::chrono::seconds(1)));
}

TEST_P(ServerShared, UnsubscribingEndsTheSharedSubscriptionAndNotThePlainOne) {
  auto one = member("1", Version::v5, 0);
  ASSERT_EQ(one.subscribe({{.filter = "a/#"}}), std::vector<int>{0});
  Buffer filters, wire;
  append_filter(filters, "$share/g/a/#");
  append_filter(filters, "$share/other/a/#");
  encode_unsubscribe(wire, Version::v5, {.packet_id = 3, .properties = {}, .filters = filters});
  one.send(wire);
  ASSERT_TRUE(one.next() && one.frame().type == PacketType::unsuback);
  const auto ack = decode_unsubscribe_ack(one.frame().body, Version::v5);
  EXPECT_EQ(std::vector(ack->codes.begin(), ack->codes.end()),
            (std::vector{std::byte{0}, std::byte{0x11}}));
  auto publisher = connected("p");
  publisher.publish("a/x", "once");
  EXPECT_EQ(as_text(one.next_publish().payload), "once");
  EXPECT_FALSE(one.next(std::chrono::seconds(1)));
}

}  // namespace
}  // namespace sluice::mqtt
