// Publishes to "$delayed/<seconds>/<topic>": what is asked of the hub, and how they are answered.
#include <gtest/gtest.h>

#include "mqtt/session_rig_test.h"

namespace sluice::mqtt {
namespace {

using Packets = SessionRig::Packets;
using Delays = std::vector<std::uint32_t>;

constexpr auto both = {Version::v3_1_1, Version::v5};

TEST(SessionDelayed, IsPublishedToTheTopicBehindTheSecondsAndAcknowledgedWhenItIsKept) {
  for (const Version version : both) {
    SessionRig rig(version);
    rig.connected();
    rig.publish("$delayed/15/a/b", 1, 1, true);
    rig.publish("$delayed/0/c", 2, 2);
    rig.publish("$delayed/7/d", 0, 0);
    ASSERT_EQ(rig.host.published.size(), 3u);
    EXPECT_EQ(rig.host.published[0].topic, "a/b");
    EXPECT_TRUE(rig.host.published[0].retain);
    EXPECT_EQ(rig.host.delays, (Delays{15, 0, 7}));
    EXPECT_EQ(rig.sent(), Packets{});
    rig.kept(0);
    EXPECT_EQ(rig.sent(), Packets{"puback 1 00"});
    rig.kept(1);
    EXPECT_EQ(rig.sent(), Packets{"pubrec 2 00"});
    rig.ack(PacketType::pubrel, 2);
    EXPECT_EQ(rig.sent(), Packets{"pubcomp 2 00"});
  }
}

TEST(SessionDelayed, AcknowledgementsKeepTheOrderOfThePublishesWhateverIsDurableFirst) {
  for (const Version version : both) {
    SessionRig rig(version);
    rig.connected();
    rig.publish("a", 1);
    rig.publish("$delayed/1/a", 2);
    rig.publish("a", 3);
    rig.publish("$delayed/1/a", 4);
    rig.kept(3);
    EXPECT_EQ(rig.sent(), Packets{});
    rig.durable(2);
    EXPECT_EQ(rig.sent(), Packets{"puback 1 00"}) << "2 is not kept yet";
    rig.kept(1);
    EXPECT_EQ(rig.sent(), (Packets{"puback 2 00", "puback 3 00", "puback 4 00"}));
  }
}

TEST(SessionDelayed, WhatNamesNoDelayOrNoTopicIsRefused) {
  for (const char* topic : {"$delayed/x/a", "$delayed/15", "$delayed/15/", "$delayed/101/a",
                            "$delayed/1/$SYS/a", "$delayed/1/$delayed/1/a"}) {
    for (const Version version : both) {
      SessionRig rig(version, {.delay_max_s = 100});
      rig.connected();
      rig.publish(topic, 1);
      EXPECT_EQ(rig.sent(), Packets{version == Version::v5 ? "puback 1 90" : "puback 1 00"});
      EXPECT_TRUE(rig.host.published.empty()) << topic;
    }
  }
}

TEST(SessionDelayed, IsPermittedToWhoMayPublishToTheTopic) {
  SessionRig rig(Version::v5);
  rig.host.forbidden = "secret";
  rig.connected();
  rig.publish("$delayed/1/secret", 1);
  rig.publish("$delayed/1/open", 2);
  rig.kept(0);
  EXPECT_EQ(rig.sent(), (Packets{"puback 1 87", "puback 2 00"}));
}

TEST(SessionDelayed, IsReservedWhereThereAreNoDelays) {
  SessionRig rig(Version::v5, {.delay_max_s = 0});
  rig.connected();
  rig.publish("$delayed/1/a", 1);
  EXPECT_EQ(rig.sent(), Packets{"puback 1 90"});
}

TEST(SessionDelayed, WhatCannotBeKeptIsRefusedOrEndsAClientThatKnowsNoRefusal) {
  for (const Version version : both) {
    for (const bool at_once : {true, false}) {
      const Error full{Errc::out_of_range, "10 delayed messages wait, as many as may"};
      SessionRig rig(version);
      rig.connected();
      if (at_once) rig.host.publish_error = full;
      rig.publish("$delayed/1/a", 1);
      if (!at_once) rig.kept(0, std::unexpected(full));
      EXPECT_EQ(rig.sent(), version == Version::v5 ? Packets{"puback 1 97"} : Packets{});
      EXPECT_EQ(rig.session.ended(), version != Version::v5);
    }
  }
}

TEST(SessionDelayed, WithoutRoomItIsShownAgain) {
  SessionRig rig(Version::v5);
  rig.connected();
  rig.host.publish_error = Error{Errc::busy, "full"};
  EXPECT_EQ(rig.publish("$delayed/1/a", 1), Session::Step::later);
  EXPECT_TRUE(rig.session.waits_for_room());
  rig.host.publish_error.reset();
  rig.session.on_room();
  EXPECT_EQ(rig.publish("$delayed/1/a", 1), Session::Step::taken);
  rig.kept(0);
  EXPECT_EQ(rig.sent(), Packets{"puback 1 00"});
}

}  // namespace
}  // namespace sluice::mqtt
