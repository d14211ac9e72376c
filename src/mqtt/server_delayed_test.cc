// "$delayed/<seconds>/<topic>" through the server, on one shard and on two.
#include <gtest/gtest.h>

#include "mqtt/sharded_server_test.h"

namespace sluice::mqtt {
namespace {

class ServerDelayed : public ShardedServerTest {};

INSTANTIATE_TEST_SUITE_P(Shards, ServerDelayed, testing::Values(1u, 2u));

TEST_P(ServerDelayed, AMessageIsAcknowledgedAtOnceAndComesWithAllThatItHad) {
  auto subscriber = connected("s"), publisher = connected("p");
  ASSERT_EQ(subscriber.subscribe({{.filter = "a/#", .qos = 2}}), std::vector<int>{2});
  Buffer properties;
  PropertyWriter(properties).number(PropertyId::message_expiry, 5);
  PropertyWriter(properties).text(PropertyId::content_type, "text/plain");
  PropertyWriter(properties).user("k", "v");
  const WallMs before = broker.hub.world.loop(0).wall_ms();
  publisher.publish("$delayed/60/a/x", "late", 1, 7, false, {properties});
  EXPECT_EQ(publisher.next_ack().packet_id, 7);
  EXPECT_LT(broker.hub.world.loop(0).wall_ms(), before + 10'000);
  const Publish message = subscriber.next_publish();
  EXPECT_GE(broker.hub.world.loop(0).wall_ms(), before + 60'000);
  EXPECT_EQ(message.topic, "a/x");
  EXPECT_EQ(as_text(message.payload), "late");
  EXPECT_EQ(message.qos, 1);
  std::string seen;
  for_each_property(message.properties, [&](const Property& property) {
    if (property.id == PropertyId::message_expiry) seen += std::to_string(property.number) + " ";
    if (property.id == PropertyId::content_type) seen.append(property.text).append(" ");
    if (property.id == PropertyId::user_property) seen.append(property.text).append(property.value);
  });
  EXPECT_EQ(seen, "5 text/plain kv") << "the expiry counts from the publication";
}

TEST_P(ServerDelayed, OutlivesTheConnectionOfItsPublisher) {
  auto subscriber = connected("s", Version::v3_1_1);
  ASSERT_EQ(subscriber.subscribe({{.filter = "a"}}), std::vector<int>{0});
  {
    auto publisher = connected("p", Version::v3_1_1);
    publisher.publish("$delayed/10/a", "kept", 2, 1);
    publisher.next_ack(PacketType::pubrec);
    publisher.wire().close();
  }
  EXPECT_EQ(as_text(subscriber.next_publish().payload), "kept");
}

TEST_P(ServerDelayed, MoreThanMayWaitAreRefusedWithAReason) {
  auto publisher = connected("p");
  for (std::uint16_t id = 1; id <= 10; ++id) {
    publisher.publish("$delayed/100/a", "x", 1, id);
    EXPECT_EQ(publisher.next_ack().code, 0);
  }
  publisher.publish("$delayed/100/a", "x", 1, 11);
  const Ack refused = publisher.next_ack();
  EXPECT_EQ(refused.code, 0x97);
  for_each_property(refused.properties, [&](const Property& property) {
    EXPECT_TRUE(property.text.contains("mqtt.delayed_max")) << property.text;
  });
}

}  // namespace
}  // namespace sluice::mqtt
