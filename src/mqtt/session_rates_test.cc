// What a session does with publishes that its host does not admit.

#include <gtest/gtest.h>

#include "mqtt/session_rig_test.h"

namespace sluice::mqtt {
namespace {

using Step = Session::Step;
using Packets = SessionRig::Packets;

struct RatedRig : SessionRig {
  explicit RatedRig(Version version, RateAction action = RateAction::throttle)
      : SessionRig(version, {.rate_action = action}) {
    context.has_rates = true;
    connected();
    session.ask_permissions();
  }
};

constexpr std::size_t small = 2;  // bytes of the topic "a" and the payload "x"

TEST(SessionRates, APublishThatWaitsIsShownAgainAndTakenOnce) {
  for (const Version version : {Version::v3_1_1, Version::v5}) {
    RatedRig rig(version);
    EXPECT_EQ(rig.publish("a", 1), Step::later);
    EXPECT_EQ(rig.host.rate_waits, 1);
    EXPECT_FALSE(rig.session.ready());
    rig.host.rate_left = small;
    rig.session.on_rate();
    EXPECT_TRUE(rig.session.ready());
    EXPECT_EQ(rig.publish("a", 1), Step::taken);
    EXPECT_EQ(rig.host.published.size(), 1u);
    EXPECT_EQ(rig.host.rate_left, 0u);
  }
}

TEST(SessionRates, APublishThatFindsNoRoomInTheHubCountsOnce) {
  RatedRig rig(Version::v5);
  rig.host.rate_left = 2 * small;
  rig.host.publish_error = Error{Errc::busy, "full"};
  EXPECT_EQ(rig.publish("a", 1), Step::later);
  EXPECT_EQ(rig.publish("a", 1), Step::later);
  EXPECT_EQ(rig.host.rate_left, small);
  rig.host.publish_error.reset();
  rig.session.on_room();
  EXPECT_EQ(rig.publish("a", 1), Step::taken);
  EXPECT_EQ(rig.publish("a", 2), Step::taken);
  EXPECT_EQ(rig.host.rate_left, 0u) << "the second one counts for itself";
}

TEST(SessionRates, WhatIsNotPermittedOrReservedCountsToo) {
  RatedRig rig(Version::v5);
  rig.host.forbidden = "a";
  rig.host.rate_left = 2 * small;
  rig.publish("a", 1);
  rig.publish("$", 2);
  EXPECT_EQ(rig.sent(), (Packets{"puback 1 87", "puback 2 90"}));
  EXPECT_EQ(rig.publish("b", 3), Step::later);
}

TEST(SessionRates, DropRefusesInVersion5AndNeverAcknowledgesIn311) {
  RatedRig modern(Version::v5, RateAction::drop);
  EXPECT_EQ(modern.publish("a", 0, 0), Step::taken);
  EXPECT_EQ(modern.publish("a", 1, 1), Step::taken);
  EXPECT_EQ(modern.publish("a", 2, 2), Step::taken);
  EXPECT_EQ(modern.sent(), (Packets{"puback 1 97", "pubrec 2 97"}));
  EXPECT_EQ(modern.counters.dropped_rate.value(), 3u);

  RatedRig old(Version::v3_1_1, RateAction::drop);
  EXPECT_EQ(old.publish("a", 0, 0), Step::taken);
  EXPECT_EQ(old.publish("a", 1, 1), Step::later);
  EXPECT_EQ(old.sent(), Packets{});
  EXPECT_EQ(old.counters.dropped_rate.value(), 1u);
}

TEST(SessionRates, DisconnectSaysWhy) {
  RatedRig modern(Version::v5, RateAction::disconnect);
  modern.publish("a", 1);
  EXPECT_TRUE(modern.session.ended());
  EXPECT_EQ(modern.sent(), Packets{"disconnect 96"});
  RatedRig old(Version::v3_1_1, RateAction::disconnect);
  old.publish("a", 1);
  EXPECT_TRUE(old.session.ended());
  EXPECT_EQ(old.sent(), Packets{});
}

TEST(SessionRates, WithoutAPlaceConnectIsRefused) {
  for (const auto& [version, answer] :
       {std::pair{Version::v5, "connack 97"}, std::pair{Version::v3_1_1, "connack 03"}}) {
    SessionRig rig(version);
    rig.session.deny_place();
    rig.connect();
    EXPECT_EQ(rig.sent(), Packets{answer});
    EXPECT_TRUE(rig.session.ended());
    EXPECT_FALSE(rig.host.logging_in) << "before any work for it";
  }
}

}  // namespace
}  // namespace sluice::mqtt
