#include <gtest/gtest.h>

#include "mqtt/stored_session_test.h"

namespace sluice::mqtt {
namespace {

using sessions::SentState;
using Packets = SessionRig::Packets;

class StoredSession : public StoredSessionTest {};

TEST_F(StoredSession, IsOpenedForAsLongAsIsAskedForAndGranted) {
  SessionRig rig(Version::v5, limits());
  rig.host.opened_answer = sessions::Opened{.uid = 42};
  connect(rig, 2 * day_s);
  ASSERT_TRUE(rig.host.opening);
  EXPECT_EQ(rig.host.opening->client_id, "c");
  EXPECT_FALSE(rig.host.opening->clean);
  EXPECT_EQ(rig.host.opening->expiry_s, day_s);
  EXPECT_EQ(rig.sent(), Packets{"connack 00"});
  EXPECT_EQ(rig.session.stored_uid(), 42u);
  EXPECT_EQ(rig.session.expiry_s(), day_s);
}

TEST_F(StoredSession, WithoutCleanSessionStaysForTheMaximumInMqtt311) {
  SessionRig rig(Version::v3_1_1, limits());
  rig.host.opened_answer = sessions::Opened{.uid = 42};
  rig.connect({.clean_start = false, .client_id = "c"});
  rig.session.on_claimed({});
  EXPECT_EQ(rig.host.opening->expiry_s, day_s);

  SessionRig clean(Version::v3_1_1, limits());
  clean.connected();
  EXPECT_EQ(clean.host.opening->expiry_s, 0u);
  EXPECT_EQ(clean.session.stored_uid(), 0u);
}

TEST_F(StoredSession, ThatIsPresentIsRestoredBeforeConnackSaysSo) {
  SessionRig rig(Version::v5, limits());
  rig.host.opened_answer = present({.next = {at(7)}});
  connect(rig);
  ASSERT_TRUE(rig.host.restored);
  EXPECT_EQ(rig.host.restored->filters.size(), 1u);
  EXPECT_EQ(rig.host.restored->next, std::vector{at(7)});
  EXPECT_EQ(rig.sent(), Packets{"connack 00 present"});
  EXPECT_EQ(rig.host.resumes, 1);
}

TEST_F(StoredSession, IsRestoredWithoutFiltersThatAreNotPermittedAnyMore) {
  SessionRig rig(Version::v5, limits());
  rig.host.forbidden = "secret";
  auto opened = present({});
  opened.filters.push_back({.text = "secret", .qos = 1});
  connected(rig, opened);
  ASSERT_EQ(rig.host.restored->filters.size(), 1u);
  EXPECT_EQ(rig.host.restored->filters[0].text, "#");
}

TEST_F(StoredSession, ThatCannotBeOpenedRefusesTheClient) {
  SessionRig rig(Version::v5, limits());
  rig.host.opened_answer.reset();
  connect(rig);
  EXPECT_FALSE(rig.session.ready());
  rig.session.on_opened(fail(Errc::io, "the disk is gone"));
  EXPECT_EQ(rig.sent(), Packets{"connack 88"});
  EXPECT_TRUE(rig.session.ended());
}

TEST_F(StoredSession, WhatWasInFlightIsSentAgainInOrderBeforeAnythingElse) {
  SessionRig rig(Version::v5, limits());
  rig.host.opened_answer = present({.next = {at(20)},
                                    .in_flight = {{65'534, SentState::released, at(3)},
                                                  {65'535, SentState::qos1, at(5)},
                                                  {2, SentState::qos2, at(9)},
                                                  {3, SentState::released, at(11)}},
                                    .next_packet_id = 5});
  connect(rig);
  EXPECT_EQ(rig.sent(), (Packets{"connack 00 present", "pubrel 65534 00"}));
  EXPECT_EQ(rig.host.fetched, (std::vector{at(5), at(9)}));
  EXPECT_TRUE(rig.fetch("a", at(5)));
  EXPECT_TRUE(rig.fetch("b", at(9)));
  EXPECT_EQ(rig.host.resumes, 0);
  rig.session.on_fetch_end();
  EXPECT_EQ(rig.sent(), (Packets{"publish 65535 q1 a dup", "publish 2 q2 b dup", "pubrel 3 00"}));
  EXPECT_EQ(rig.host.resumes, 1);
  EXPECT_TRUE(rig.deliver("new", at(20), 1));
  EXPECT_EQ(rig.sent(), Packets{"publish 5 q1 new"});
}

TEST_F(StoredSession, WhatWasInFlightIsSentAgainWithinTheReceiveMaximumOfNow) {
  SessionRig rig(Version::v5, limits());
  rig.host.opened_answer = present({.in_flight = {{1, SentState::qos1, at(1)},
                                                  {2, SentState::qos1, at(2)},
                                                  {3, SentState::qos1, at(3)}},
                                    .next_packet_id = 4});
  connect(rig, day_s, 2);
  EXPECT_EQ(rig.host.fetched, (std::vector{at(1), at(2)}));
  EXPECT_TRUE(rig.fetch("a", at(1)));
  EXPECT_TRUE(rig.fetch("b", at(2)));
  rig.host.fetched.clear();
  rig.session.on_fetch_end();
  EXPECT_TRUE(rig.host.fetched.empty());
  rig.puback(1);
  EXPECT_EQ(rig.host.fetched, std::vector{at(3)});
  EXPECT_EQ(rig.host.resumes, 0);
  EXPECT_TRUE(rig.fetch("c", at(3)));
  rig.session.on_fetch_end();
  EXPECT_EQ(rig.host.resumes, 1);
}

TEST_F(StoredSession, WhatTheLogHasNoMoreIsNotInFlightAnyLonger) {
  SessionRig rig(Version::v5, limits());
  rig.host.opened_answer =
      present({.in_flight = {{1, SentState::qos1, at(1)}}, .next_packet_id = 2});
  connect(rig);
  rig.session.on_gone();
  rig.session.on_fetch_end();
  EXPECT_EQ(rig.session.in_flight(), 0u);
  EXPECT_EQ(rig.counters.dropped_retention.value(), 1u);
  EXPECT_EQ(rig.session.progress().lost, sessions::Lost{.retention = 1});
  EXPECT_EQ(rig.host.resumes, 1);
}

TEST_F(StoredSession, WhatItsUserMayNotHaveAnyMoreIsNotSentAgain) {
  SessionRig rig(Version::v5, limits());
  rig.host.forbidden = "secret";
  auto opened = present({.in_flight = {{1, SentState::qos1, at(1)}, {2, SentState::qos1, at(2)}},
                         .next_packet_id = 3});
  opened.filters.push_back({.text = "$share/group/secret", .qos = 1});
  opened.filters.push_back({.text = "secret", .qos = 1});
  opened.filters.push_back({.text = "$share/group/a", .qos = 1});
  rig.host.opened_answer = std::move(opened);
  connect(rig);
  ASSERT_EQ(rig.host.restored->filters.size(), 2u);
  EXPECT_EQ(rig.host.restored->filters[1].text, "$share/group/a");
  EXPECT_TRUE(rig.fetch("secret", at(1)));
  EXPECT_TRUE(rig.fetch("a", at(2)));
  rig.session.on_fetch_end();
  EXPECT_EQ(rig.sent(), (Packets{"connack 00 present", "publish 2 q1 a dup"}));
  EXPECT_EQ(rig.counters.dropped_not_authorized.value(), 1u);
  EXPECT_EQ(rig.session.in_flight(), 1u);
}

TEST_F(StoredSession, CountsInAllItsLifeWhatItHasLost) {
  SessionRig rig(Version::v5, limits());
  connected(rig, present({.lost = {.retention = 5, .lag_limit = 1}}));
  rig.session.note_lost(hub::Loss::retention, 2);
  rig.session.note_lost(hub::Loss::lag_limit, 7);
  EXPECT_EQ(rig.host.moves, 1) << "it is to be saved";
  const sessions::Lost lost{.retention = 7, .lag_limit = 8};
  EXPECT_EQ(rig.session.take_progress().lost, lost);
  ClientState state;
  rig.session.describe(state);
  EXPECT_EQ(state.lost, lost);
}

TEST_F(StoredSession, WhatFindsNoRoomIsFetchedAgainLater) {
  SessionRig rig(Version::v5, limits());
  rig.host.opened_answer =
      present({.in_flight = {{1, SentState::qos1, at(1)}, {2, SentState::qos1, at(2)}},
               .next_packet_id = 3});
  connect(rig);
  EXPECT_TRUE(rig.fetch("a", at(1)));
  rig.host.output_room = false;
  EXPECT_FALSE(rig.fetch("b", at(2)));
  rig.host.fetched.clear();
  rig.session.on_fetch_end();
  EXPECT_EQ(rig.sent(), (Packets{"connack 00 present", "publish 1 q1 a dup"}));
  EXPECT_TRUE(rig.host.fetched.empty());
  rig.host.output_room = true;
  rig.session.go_on();
  EXPECT_EQ(rig.host.fetched, std::vector{at(2)});
}

TEST_F(StoredSession, AtQos2APublishLeavesWhenItIsDurableThatItWasSent) {
  SessionRig rig(Version::v5, limits());
  connected(rig);
  rig.host.at = {at(8)};
  EXPECT_TRUE(rig.deliver("a", at(7)));
  EXPECT_TRUE(rig.deliver("b", at(7), 0));
  EXPECT_EQ(rig.sent(), Packets{});
  rig.session.end_turn();
  ASSERT_EQ(rig.host.saves.size(), 1u);
  EXPECT_EQ(rig.host.saves[0].next, std::vector{at(8)});
  EXPECT_EQ(rig.host.saves[0].in_flight,
            (std::vector{sessions::InFlight{1, SentState::qos2, at(7)}}));
  EXPECT_EQ(rig.host.saves[0].next_packet_id, 2);
  EXPECT_TRUE(rig.deliver("c", at(8)));
  rig.session.end_turn();
  EXPECT_EQ(rig.host.saves.size(), 1u) << "one at a time";
  rig.session.on_saved({});
  EXPECT_EQ(rig.sent(), (Packets{"publish 1 q2 a", "publish 0 q0 b"}));
  rig.session.end_turn();
  ASSERT_EQ(rig.host.saves.size(), 2u);
  rig.session.on_saved({});
  EXPECT_EQ(rig.sent(), Packets{"publish 2 q2 c"});
}

TEST_F(StoredSession, APubrelLeavesWhenItIsDurableThatTheMessageWasReleased) {
  SessionRig rig(Version::v5, limits());
  connected(rig);
  rig.deliver("a", at(7));
  rig.session.end_turn();
  rig.session.on_saved({});
  rig.sent();
  rig.ack(PacketType::pubrec, 1);
  EXPECT_EQ(rig.sent(), Packets{});
  rig.session.end_turn();
  EXPECT_EQ(rig.host.saves.at(1).in_flight,
            (std::vector{sessions::InFlight{1, SentState::released, at(7)}}));
  rig.session.on_saved({});
  EXPECT_EQ(rig.sent(), Packets{"pubrel 1 00"});
  rig.ack(PacketType::pubcomp, 1);
  EXPECT_TRUE(rig.session.progress().in_flight.empty());
}

TEST_F(StoredSession, APubcompLeavesWhenItIsDurableThatTheIdIsFree) {
  SessionRig rig(Version::v5, limits());
  connected(rig);
  rig.publish("a", 9, 2);
  EXPECT_EQ(rig.host.published.at(0).qos2->uid, 42u);
  EXPECT_EQ(rig.session.progress().received, 0u);
  rig.durable(0);
  EXPECT_EQ(rig.sent(), Packets{"pubrec 9 00"});
  const sessions::Progress open = rig.session.progress();
  EXPECT_EQ(open.open, std::vector<std::uint16_t>{9});
  EXPECT_EQ(open.received, rig.host.published.at(0).qos2->n);
  rig.ack(PacketType::pubrel, 9);
  EXPECT_EQ(rig.sent(), Packets{});
  rig.session.end_turn();
  EXPECT_TRUE(rig.host.saves.at(0).open.empty());
  rig.session.on_saved({});
  EXPECT_EQ(rig.sent(), Packets{"pubcomp 9 00"});
}

using Numbers = std::vector<std::uint64_t>;

TEST_F(StoredSession, OfASharedSubscriptionKeepsAtQos2WhatWasSaved) {
  SessionRig rig(Version::v5, limits());
  connected(rig);
  EXPECT_TRUE(rig.deliver_shared("a", at(7), 70));
  EXPECT_TRUE(rig.deliver_shared("b", at(8), 80, 1));
  EXPECT_TRUE(rig.session.progress().in_flight.empty()) << "it may go to another yet";
  rig.session.end_turn();
  EXPECT_EQ(rig.host.saves.at(0).in_flight,
            (std::vector{sessions::InFlight{1, SentState::qos2, at(7), 5}}));
  EXPECT_EQ(rig.host.kept, Numbers{});
  rig.session.on_saved({});
  EXPECT_EQ(rig.host.kept, Numbers{70});
  rig.session.on_lost("gone");
  rig.session.abandon_shared();
  EXPECT_EQ(rig.host.settled, Numbers{}) << "the hub knows what was kept";
  EXPECT_EQ(rig.session.progress().in_flight.size(), 1u);
}

TEST_F(StoredSession, OfASharedSubscriptionLeavesToOthersWhatWasNotSaved) {
  SessionRig rig(Version::v5, limits());
  connected(rig);
  rig.deliver_shared("a", at(7), 70);
  rig.session.on_lost("gone");
  rig.session.abandon_shared();
  EXPECT_FALSE(rig.session.is_keeping());
  EXPECT_TRUE(rig.session.progress().in_flight.empty());
}

TEST_F(StoredSession, OfASharedSubscriptionWaitsForTheSaveThatIsUnderWay) {
  for (const bool is_saved : {true, false}) {
    SessionRig rig(Version::v5, limits());
    connected(rig);
    rig.deliver_shared("a", at(7), 70);
    rig.session.end_turn();
    rig.session.on_lost("gone");
    rig.session.abandon_shared();
    EXPECT_FALSE(rig.session.is_settled());
    rig.session.on_saved(is_saved ? Result<void>() : fail(Errc::io, "the disk is gone"));
    EXPECT_TRUE(rig.session.is_settled());
    EXPECT_EQ(rig.host.kept, is_saved ? Numbers{70} : Numbers{});
    EXPECT_EQ(rig.session.progress().in_flight.size(), is_saved ? 1u : 0u);
  }
}

TEST_F(StoredSession, KnowsAllAlongWhichSharedSubscriptionAMessageCameFrom) {
  SessionRig rig(Version::v5, limits());
  const sessions::InFlight message{3, SentState::qos2, at(7), 5};
  connected(rig, present({.in_flight = {message}}));
  EXPECT_EQ(rig.session.progress().in_flight, std::vector{message});
}

TEST_F(StoredSession, WhatCannotBeSavedEndsTheConnection) {
  SessionRig rig(Version::v5, limits());
  connected(rig);
  rig.deliver("a", at(7));
  rig.session.end_turn();
  rig.session.on_saved(fail(Errc::io, "the disk is gone"));
  EXPECT_EQ(rig.sent(), Packets{"disconnect 83"});
  EXPECT_TRUE(rig.session.is_kept());
}

TEST_F(StoredSession, KnowsTheOpenPublishesOfBeforeAndCountsOn) {
  SessionRig rig(Version::v5, limits());
  connected(rig, present({.received = 10, .open = {4}}));
  rig.publish("a", 4, 2);
  EXPECT_EQ(rig.sent(), Packets{"pubrec 4 00"});
  EXPECT_TRUE(rig.host.published.empty());
  rig.publish("a", 5, 2);
  EXPECT_EQ(rig.host.published.at(0).qos2->n, 11u);
}

TEST_F(StoredSession, DoesNotGetAtQos0WhatItMissed) {
  SessionRig rig(Version::v5, limits());
  connected_late(rig);
  EXPECT_TRUE(rig.deliver("old", at(9), 0));
  EXPECT_TRUE(rig.deliver("old", at(9), 1));
  EXPECT_TRUE(rig.deliver("new", at(10), 0));
  EXPECT_EQ(rig.sent(), (Packets{"publish 1 q1 old", "publish 0 q0 new"}));
  EXPECT_EQ(rig.counters.dropped_offline.value(), 1u);

  Limits all = limits();
  all.offline_qos0 = true;
  SessionRig other(Version::v5, all);
  connected_late(other);
  EXPECT_TRUE(other.deliver("old", at(9), 0));
  EXPECT_EQ(other.sent(), Packets{"publish 0 q0 old"});
}

TEST_F(StoredSession, OfAHubThatWasKilledSendsWithDupWhatMayHaveBeenSent) {
  SessionRig rig(Version::v5, limits());
  auto opened = present({.next = {at(5)}});
  opened.crashed = true;
  rig.host.opened_answer = opened;
  connect(rig, day_s, 2);
  rig.sent();
  EXPECT_TRUE(rig.deliver("a", at(5), 1));
  EXPECT_TRUE(rig.deliver("b", at(6), 1));
  rig.puback(1);
  EXPECT_TRUE(rig.deliver("c", at(7), 1));
  EXPECT_EQ(rig.sent(), (Packets{"publish 1 q1 a dup", "publish 2 q1 b dup", "publish 3 q1 c"}));
}

TEST_F(StoredSession, IsHandedBackWhenItsPublishesAreSettled) {
  SessionRig rig(Version::v5, limits());
  connected(rig);
  rig.host.at = {at(3)};
  rig.publish("a", 9, 2);
  rig.session.on_lost("gone");
  EXPECT_TRUE(rig.session.is_kept());
  rig.session.on_detached();
  rig.host.at.clear();
  EXPECT_FALSE(rig.session.is_settled());
  rig.durable(0);
  EXPECT_TRUE(rig.session.is_settled());
  const auto progress = rig.session.progress();
  EXPECT_EQ(progress.next, std::vector{at(3)});
  EXPECT_EQ(progress.open, std::vector<std::uint16_t>{9});
  EXPECT_EQ(rig.sent(), Packets{});
}

TEST_F(StoredSession, ThatOpensWhenItsConnectionIsOverIsHandedBackAsItWas) {
  SessionRig rig(Version::v5, limits());
  rig.host.opened_answer.reset();
  connect(rig);
  rig.session.on_lost("gone");
  EXPECT_TRUE(rig.session.is_kept());
  EXPECT_FALSE(rig.session.is_settled());
  const sessions::Progress before{.next = {at(5)},
                                  .in_flight = {{3, SentState::qos2, at(4)}},
                                  .next_packet_id = 4,
                                  .received = 8,
                                  .open = {6},
                                  .lost = {.retention = 2, .lag_limit = 3},
                                  .replays = {{"$stream/s", {at(1)}}}};
  rig.session.on_opened(present(before));
  EXPECT_TRUE(rig.session.is_settled());
  EXPECT_EQ(rig.session.progress(), before);
  EXPECT_FALSE(rig.host.restored);
}

TEST_F(StoredSession, DisconnectMayChangeForHowLongItStays) {
  SessionRig rig(Version::v5, limits());
  connected(rig);
  Buffer properties;
  PropertyWriter(properties).number(PropertyId::session_expiry, 5);
  Buffer wire;
  encode_disconnect(wire, Version::v5, {.code = 0, .properties = {properties}});
  rig.send(wire);
  EXPECT_EQ(rig.session.expiry_s(), 5u);
}

TEST_F(StoredSession, ARetainedMessageInFlightIsAskedForByItsTopic) {
  SessionRig rig(Version::v5, limits());
  connected(rig);
  rig.deliver_retained("a", at(7));
  const auto progress = rig.session.progress();
  EXPECT_EQ(progress.in_flight,
            (std::vector{sessions::InFlight{1, SentState::qos2, at(7), 0, "a"}}));
  SessionRig next(Version::v5, limits());
  connected(next, present(progress));
  EXPECT_EQ(next.host.fetched, std::vector{at(7)});
  EXPECT_EQ(next.host.fetched_topics, std::vector<std::string>{"a"});
  EXPECT_TRUE(next.fetch("a", at(7), hub::Origin::retained));
  EXPECT_EQ(next.sent(), std::vector<std::string>{"publish 1 q2 a retain dup"});
}

TEST_F(StoredSession, ARetainedMessageInFlightThatIsNoMoreIsNotLost) {
  SessionRig rig(Version::v5, limits());
  connected(rig, present({.in_flight = {{1, SentState::qos2, at(7), 0, "a"}}}));
  rig.session.on_gone();
  rig.session.on_fetch_end();
  EXPECT_EQ(rig.session.in_flight(), 0u);
  EXPECT_EQ(rig.session.progress().lost, sessions::Lost{});
}

TEST_F(StoredSession, RetainedMessagesThatAreYetToComeAreSavedAndRestored) {
  SessionRig rig(Version::v5, limits());
  connected(rig);
  const sessions::RetainedRest rest{.filter = "#", .before = {at(9)}, .from = "k"};
  rig.host.rests = {rest};
  const auto progress = rig.session.progress();
  EXPECT_EQ(progress.retained, std::vector{rest});
  SessionRig next(Version::v5, limits());
  connected(next, present(progress));
  EXPECT_EQ(next.host.restored->retained, std::vector{rest});
}

}  // namespace
}  // namespace sluice::mqtt
