// Replays of sessions that outlive their connections: what is saved of them, and taken up.
#include <gtest/gtest.h>

#include "mqtt/stored_session_test.h"

namespace sluice::mqtt {
namespace {

using Packets = SessionRig::Packets;
using sessions::SentState;

class SessionReplayStored : public StoredSessionTest {
 protected:
  // A session with the filters "#" and, at QoS 1, `replay`.
  static sessions::Opened with_replay(const std::string& replay, sessions::Progress progress,
                                      std::vector<Position> since = {}) {
    auto opened = present(std::move(progress));
    opened.filters.push_back({.text = replay, .qos = 1, .since = std::move(since)});
    return opened;
  }
};

TEST_F(SessionReplayStored, GoesOnWhereItWasAndElseWhereItBegan) {
  const Position later_made{{{1 << 20}, 1}, {3}};
  SessionRig rig(Version::v5, limits());
  connected(rig, with_replay("$stream/s", {.next = {at(7)}, .replays = {{"$stream/s", {at(4)}}}},
                             {at(1), later_made}));
  ASSERT_EQ(rig.host.restored->filters.size(), 2u);
  EXPECT_EQ(rig.host.restored->filters[1].since, (std::vector{at(4), later_made}));
  EXPECT_EQ(rig.host.restored->next, std::vector{at(7)});
}

TEST_F(SessionReplayStored, ItsPlaceIsSavedWithAllElse) {
  SessionRig rig(Version::v5, limits());
  connected(rig);
  rig.host.at = {at(9)};
  rig.host.replays_at = {{"$stream/s", {at(8)}}};
  EXPECT_TRUE(rig.deliver_replayed("a", at(7)));
  EXPECT_EQ(rig.sent(), Packets{}) << "it waits until it is durable that it was sent";
  rig.session.end_turn();
  ASSERT_EQ(rig.host.saves.size(), 1u);
  EXPECT_EQ(rig.host.saves[0].next, std::vector{at(9)});
  EXPECT_EQ(rig.host.saves[0].replays, rig.host.replays_at);
  EXPECT_EQ(rig.host.saves[0].in_flight,
            (std::vector{sessions::InFlight{1, SentState::qos2, at(7), 9}}));
  rig.session.on_saved({});
  EXPECT_EQ(rig.sent(), Packets{"publish 1 q2 a"});
}

// The hub forgets a subscriber that goes, and does not know yet one that is about to be restored.
TEST_F(SessionReplayStored, ItsPlaceOutlivesTheSubscriberAlsoIfThereIsNoOther) {
  const std::vector<sessions::ReplayPlace> places{{"$stream/s", {at(8)}}};
  SessionRig rig(Version::v5, limits());
  connected(rig);
  rig.host.replays_at = places;
  rig.session.on_lost("gone");
  rig.session.on_detached();
  rig.host.replays_at.clear();
  EXPECT_EQ(rig.session.progress().replays, places);

  SessionRig next(Version::v5, limits());
  next.host.opened_answer.reset();
  connect(next);
  next.session.on_lost("gone");
  next.session.on_opened(with_replay("$stream/s", {.replays = places}));
  EXPECT_EQ(next.session.progress().replays, places);
}

TEST_F(SessionReplayStored, MissesNothingAtQos0) {
  SessionRig rig(Version::v5, limits());
  connected_late(rig);
  EXPECT_TRUE(rig.deliver_replayed("replayed", at(9), 0));
  EXPECT_TRUE(rig.deliver_replayed("replayed", at(10), 0));
  EXPECT_TRUE(rig.deliver("missed", at(9), 0));
  EXPECT_EQ(rig.sent(), (Packets{"publish 0 q0 replayed", "publish 0 q0 replayed"}));
  EXPECT_EQ(rig.counters.dropped_offline.value(), 1u);
}

TEST_F(SessionReplayStored, WhatItHadInFlightIsSentAgainAsItsOwn) {
  SessionRig rig(Version::v5, limits());
  connected(rig, with_replay("$stream/s", {.in_flight = {{1, SentState::qos2, at(4), 9},
                                                         {2, SentState::qos1, at(4)}},
                                           .next_packet_id = 3}));
  EXPECT_EQ(rig.host.fetched, (std::vector{at(4), at(4)}));
  EXPECT_EQ(rig.host.fetched_of, (std::vector<std::uint32_t>{9, 0}));
  EXPECT_TRUE(rig.fetch("a", at(4)));
  EXPECT_TRUE(rig.fetch("a", at(4)));
  rig.session.on_fetch_end();
  EXPECT_EQ(rig.sent(), (Packets{"publish 1 q2 a dup", "publish 2 q1 a dup"}));
}

TEST_F(SessionReplayStored, WhoseTopicsAreNotPermittedAnyMoreIsNotRestored) {
  for (const bool is_permitted : {true, false}) {
    SessionRig rig(Version::v5, limits());
    rig.host.forbidden = is_permitted ? "s/other" : "s/a";
    connected(rig, with_replay("$stream/s/a", {}));
    EXPECT_EQ(rig.host.restored->filters.size(), is_permitted ? 2u : 1u);
  }
}

}  // namespace
}  // namespace sluice::mqtt
