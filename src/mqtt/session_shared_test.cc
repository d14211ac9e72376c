// What a session makes of messages of shared subscriptions: when the hub hears that they are done
// with.
#include <gtest/gtest.h>

#include <map>

#include "base/random.h"
#include "mqtt/sent_tickets.h"
#include "mqtt/session_rig_test.h"

namespace sluice::mqtt {
namespace {

using Numbers = std::vector<std::uint64_t>;
constexpr auto shared = hub::Origin::shared;
constexpr auto pubrec = PacketType::pubrec, pubcomp = PacketType::pubcomp;

// Of what was delivered: done with at once.
Numbers settled_at_once(SessionRig& rig) { return std::exchange(rig.context.delivery.settled, {}); }

TEST(SessionShared, AMessageWithoutAcknowledgementIsSettledAsItIsSent) {
  SessionRig rig(Version::v5);
  rig.connected();
  ASSERT_TRUE(rig.deliver("a", 0, 1, shared, 7));
  ASSERT_TRUE(rig.deliver("a", 1, 0, shared, 8));
  EXPECT_EQ(settled_at_once(rig), (Numbers{7, 8}));
  ASSERT_TRUE(rig.deliver("a", 1, 1, shared, 9));
  EXPECT_EQ(settled_at_once(rig), Numbers{});
}

TEST(SessionShared, SoIsOneThatTheClientCannotTake) {
  Buffer properties;
  PropertyWriter(properties).number(PropertyId::maximum_packet_size, 20);
  SessionRig rig(Version::v5);
  rig.connected({.client_id = "c", .properties = {properties}});
  ASSERT_TRUE(rig.deliver("a topic that is too long for the client", 1, 1, shared, 7));
  EXPECT_EQ(settled_at_once(rig), Numbers{7});
}

TEST(SessionShared, AnAcknowledgedMessageIsSettledWhenItsExchangeIsOver) {
  for (const Version version : {Version::v3_1_1, Version::v5}) {
    SessionRig rig(version);
    rig.connected();
    rig.deliver("a", 1, 1, shared, 7);  // packet id 1
    rig.deliver("a", 1, 1);             // 2: of a plain subscription
    rig.deliver("a", 2, 2, shared, 8);  // 3
    rig.puback(2);
    EXPECT_EQ(rig.host.settled, Numbers{});
    rig.puback(1);
    EXPECT_EQ(rig.host.settled, Numbers{7});
    rig.puback(1);
    rig.ack(pubrec, 3);
    EXPECT_EQ(rig.host.settled, Numbers{7});
    rig.ack(pubcomp, 3);
    EXPECT_EQ(rig.host.settled, (Numbers{7, 8}));
  }
}

// [MQTT-4.8.2-6]
TEST(SessionShared, ARefusedMessageIsSettledSoThatNobodyElseGetsIt) {
  SessionRig rig(Version::v5);
  rig.connected();
  rig.deliver("a", 1, 1, shared, 7);
  rig.deliver("a", 2, 2, shared, 8);
  rig.ack(PacketType::puback, 1, Reason::quota_exceeded);
  rig.ack(pubrec, 2, Reason::quota_exceeded);
  EXPECT_EQ(rig.host.settled, (Numbers{7, 8}));
  EXPECT_EQ(rig.counters.dropped_refused.value(), 2u);
}

// [MQTT-4.8.2-5]
TEST(SessionShared, WhatIsUnderWayAtTheEndIsSettledAtQos2AndLeftToOthersAtQos1) {
  SessionRig rig(Version::v5);
  rig.connected();
  rig.deliver("a", 1, 1, shared, 7);
  rig.deliver("a", 2, 2, shared, 8);
  rig.deliver("a", 2, 2, shared, 9);
  rig.ack(pubrec, 3);
  rig.session.on_lost("gone");
  rig.session.abandon_shared();
  std::ranges::sort(rig.host.settled);
  EXPECT_EQ(rig.host.settled, (Numbers{8, 9}));
}

TEST(SessionShared, TheWindowIsWhatTheClientMayHaveInFlight) {
  Buffer properties;
  PropertyWriter(properties).number(PropertyId::receive_maximum, 5);
  SessionRig rig(Version::v5, {.max_inflight = 100});
  rig.connected({.client_id = "c", .properties = {properties}});
  rig.subscribe({{.filter = "$share/g/a", .qos = 1}, {.filter = "$share/g/b", .qos = 0}});
  ASSERT_EQ(rig.host.subscribed.size(), 2u);
  EXPECT_EQ(rig.host.subscribed[0].options.window, 5u);
  EXPECT_EQ(rig.host.subscribed[1].options.window, 100u);
}

TEST(SessionShared, PermissionAndLevelsAreThoseOfTheFilterBehindTheShareName) {
  SessionRig rig(Version::v5, {.filter_levels_max = 2});
  rig.connected();
  rig.subscribe({{.filter = "$share/g/a/b"}, {.filter = "$share/g/a/b/c"}});
  rig.answer_subscribes();
  EXPECT_EQ(rig.sent(), SessionRig::Packets{"suback 1 00 8f"});
}

TEST(SentTickets, AreFoundByPacketIdWhateverIdsThereAre) {
  Random random(1);
  SentTickets tickets;
  std::map<std::uint16_t, std::uint64_t> model;
  for (std::uint64_t n = 0; n < 20'000; ++n) {
    // Ids that clash in the table, and ids that are next to each other.
    const auto id = static_cast<std::uint16_t>(1 + random.below(40) + 1024 * random.below(60));
    const auto known = model.find(id);
    if (known == model.end() && model.size() < 300) {
      tickets.put(id, {{}, n});
      model[id] = n;
      continue;
    }
    const auto ticket = tickets.take(id);
    ASSERT_EQ(ticket.has_value(), known != model.end());
    if (!ticket) continue;
    EXPECT_EQ(ticket->number, known->second);
    model.erase(known);
  }
  std::map<std::uint16_t, std::uint64_t> rest;
  tickets.for_each([&](std::uint16_t id, const hub::Ticket& ticket) { rest[id] = ticket.number; });
  EXPECT_EQ(rest, model);
}

}  // namespace
}  // namespace sluice::mqtt
