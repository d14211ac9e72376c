// What publishers and subscribers see when the hub, the log or the disk is in trouble.

#include <gtest/gtest.h>

#include "mqtt/broker_test.h"

namespace sluice::mqtt {
namespace {

constexpr Version both[] = {Version::v3_1_1, Version::v5};

TEST(ServerInTrouble, AMessageLargerThanAJournalFileIsRefusedByTheLogAndThePublisherIsTold) {
  for (const Version version : both) {
    Broker broker(1);
    auto publisher = broker.client(version);
    ASSERT_EQ(publisher.connect("p"), 0);
    publisher.publish("t", std::string(200'000, 'x'), 1, 1);
    if (version == Version::v3_1_1) {
      EXPECT_FALSE(publisher.next()) << "closed, and not acknowledged";
      continue;
    }
    const Ack refused = publisher.next_ack();
    EXPECT_EQ(refused.packet_id, 1);
    EXPECT_EQ(refused.code, 0x97);
    publisher.publish("t", "small", 1, 2);
    EXPECT_EQ(publisher.next_ack().code, 0) << "the connection goes on";
  }
}

TEST(ServerInTrouble, WithoutRoomInTheHubPublishersWaitAndNothingIsLost) {
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    log::Options log_options = hub::SimHub::small_log();
    log_options.pending_max = 32 << 10;
    Broker broker(seed, {}, 1, log_options);
    broker.hub.world.options().worker_latency_max = std::chrono::milliseconds(100);
    auto subscriber = broker.client();
    ASSERT_EQ(subscriber.connect("s"), 0);
    subscriber.subscribe({{.filter = "t"}});
    auto publisher = broker.client(both[seed % 2]);
    ASSERT_EQ(publisher.connect("p"), 0);
    constexpr std::uint16_t count = 400;
    for (std::uint16_t i = 1; i <= count; ++i)
      publisher.publish("t", std::string(4000, 'x') + std::to_string(i), 1, i);
    ASSERT_TRUE(broker.hub.world.run_until([&] { return !broker.hub.hubs[0]->has_room(); }));
    for (std::uint16_t i = 1; i <= count; ++i) {
      const Ack ack = publisher.next_ack();
      ASSERT_EQ(ack.packet_id, i);
      ASSERT_EQ(ack.code, 0);
    }
    for (int i = 1; i <= count; ++i)
      ASSERT_EQ(as_text(subscriber.next_publish().payload).substr(4000), std::to_string(i));
  }
}

TEST(ServerInTrouble, AMessageThatExpiresWhileItsSubscriberLagsIsNotDelivered) {
  for (const Version version : both) {
    Broker broker(3, {.limits = {.max_inflight = 1}});
    auto subscriber = broker.client(version);
    ASSERT_EQ(subscriber.connect("s"), 0);
    subscriber.subscribe({{.filter = "t", .qos = 1}});
    auto publisher = broker.client();
    ASSERT_EQ(publisher.connect("p"), 0);
    Buffer soon;
    PropertyWriter(soon).number(PropertyId::message_expiry, 10);
    Buffer late;
    PropertyWriter(late).number(PropertyId::message_expiry, 100);
    publisher.publish("t", "first", 1, 1);
    publisher.publish("t", "expires", 1, 2, false, {soon});
    publisher.publish("t", "stays", 1, 3, false, {late});
    for (int i = 1; i <= 3; ++i) ASSERT_EQ(publisher.next_ack().packet_id, i);
    const Publish first = subscriber.next_publish();
    EXPECT_EQ(as_text(first.payload), "first");
    broker.hub.world.run_for(std::chrono::seconds(20));
    subscriber.ack(first.packet_id);
    const Publish next = subscriber.next_publish();
    EXPECT_EQ(as_text(next.payload), "stays");
    std::uint32_t rest_s = 0;
    for_each_property(next.properties, [&](const Property& property) { rest_s = property.number; });
    if (version == Version::v5) {
      EXPECT_LE(rest_s, 80u);
      EXPECT_GE(rest_s, 78u);
    }
    EXPECT_NE(broker.metrics().find(
                  "sluice_messages_dropped_total{protocol=\"mqtt\",reason=\"expired\"} 1"),
              std::string::npos);
  }
}

TEST(ServerInTrouble, OnAFullDiskPublishersAreToldAndItGoesOnByItselfWhenThereIsRoom) {
  Broker broker(4);
  auto subscriber = broker.client();
  ASSERT_EQ(subscriber.connect("s"), 0);
  subscriber.subscribe({{.filter = "t"}});
  auto publisher = broker.client();
  ASSERT_EQ(publisher.connect("p"), 0);
  auto old = broker.client(Version::v3_1_1);
  ASSERT_EQ(old.connect("old"), 0);
  publisher.publish("t", "before", 1, 1);
  ASSERT_EQ(publisher.next_ack().code, 0);
  broker.hub.world.run_for(std::chrono::seconds(1));  // the journal is preallocated
  broker.hub.disk.set_capacity(0);
  std::uint8_t code = 0;
  while (code == 0) {  // the journal has room for some; it is the segments that have none
    publisher.publish("t", std::string(3000, 'x'), 1, 2);
    code = publisher.next_ack().code;
  }
  EXPECT_EQ(code, 0x97);
  old.publish("t", "refused", 1, 1);
  EXPECT_FALSE(old.next()) << "3.1.1 has no negative PUBACK: closed";

  broker.hub.disk.set_capacity(std::uint64_t{1} << 40);
  broker.hub.world.run_for(std::chrono::seconds(3));
  publisher.publish("t", "after", 1, 3);
  EXPECT_EQ(publisher.next_ack().code, 0);
  EXPECT_EQ(as_text(subscriber.next_publish().payload), "before");
  std::string last;
  while (last != "after") {
    last = as_text(subscriber.next_publish().payload);
    ASSERT_NE(last, "refused");
  }
}

}  // namespace
}  // namespace sluice::mqtt
