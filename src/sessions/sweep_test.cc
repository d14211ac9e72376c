#include "sessions/sweep.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "sessions/machine_test.h"

namespace sluice::sessions {
namespace {

using namespace std::chrono_literals;

Opening with_will(const std::string& client_id, std::uint32_t delay_s) {
  Opening opening = stored(client_id);
  opening.will = Will{.topic = "gone/" + client_id, .qos = 1, .delay_s = delay_s};
  return opening;
}

// --- expiry

TEST(Expiry, RemovesASessionWhoseTimeIsOver) {
  Machine machine(20);
  const Uid uid = machine.connect(stored("dev")).uid;
  machine.put_filter("dev", uid, {.text = "a/#"});
  machine.disconnect("dev", uid, 100);
  machine.run_for(90s);
  EXPECT_EQ(machine.total("sluice_sessions_expired_total"), 0);
  EXPECT_EQ(machine.total("sluice_sessions"), 1);
  machine.run_for(90s);
  EXPECT_EQ(machine.total("sluice_sessions_expired_total"), 1);
  EXPECT_EQ(machine.total("sluice_sessions"), 0);
  EXPECT_FALSE(machine.resume("dev").present);
}

TEST(Expiry, IsSeenByAConnectBeforeTheSweepComes) {
  Machine machine(21);
  const Uid uid = machine.connect(stored("dev")).uid;
  machine.disconnect("dev", uid, 1);
  machine.run_for(2s);
  const Opened again = machine.resume("dev");
  EXPECT_FALSE(again.present);
  EXPECT_NE(again.uid, uid);
}

TEST(Expiry, LeavesAloneWhoIsConnectedOrNeverExpires) {
  Machine machine(22);
  machine.connect(stored("connected", false, 1));
  const Uid uid = machine.connect(stored("for ever")).uid;
  machine.disconnect("for ever", uid, never_expires);
  machine.run_for(1h);
  machine.backend.world->step_wall_clock(24h * 365 * 200);
  machine.run_for(2min);
  EXPECT_EQ(machine.total("sluice_sessions_expired_total"), 0);
  EXPECT_EQ(machine.total("sluice_sessions"), 2);
  EXPECT_TRUE(machine.resume("for ever").present);
}

TEST(Expiry, DoesNotComeEarlyWhenTheClockIsSetBack) {
  Machine machine(23);
  const Uid uid = machine.connect(stored("dev")).uid;
  machine.disconnect("dev", uid, 3600);
  machine.backend.world->step_wall_clock(-24h);
  machine.run_for(1h);
  EXPECT_TRUE(machine.resume("dev").present);
}

TEST(Expiry, OfACrashedSessionCountsFromTheStart) {
  Machine machine(24);
  machine.connect(stored("dev", false, 100));
  machine.run_for(10min);
  machine.crash();
  machine.start(2, 10min);
  machine.run_for(70s);
  EXPECT_EQ(machine.total("sluice_sessions_expired_total"), 0);
  machine.run_for(100s);
  EXPECT_EQ(machine.total("sluice_sessions_expired_total"), 1);
}

TEST(Expiry, GoesThroughMoreSessionsThanAPortionHolds) {
  Machine machine(25, 1);
  constexpr int count = 3000;
  int gone = 0;
  machine.backend.post({0}, [&] {
    for (int i = 0; i < count; ++i) {
      const std::string client = "dev/" + std::to_string(i);
      machine.on(0).connect(stored(client), [&, client](const Result<Opened>& opened) {
        ASSERT_TRUE(opened);
        machine.on(0).disconnect(client, opened->uid, 1, false, {},
                                 [&](const Result<void>&) { ++gone; });
      });
    }
  });
  ASSERT_TRUE(machine.backend.run_until([&] { return gone == count; }));
  machine.run_for(3min);
  EXPECT_EQ(machine.total("sluice_sessions_expired_total"), count);
  EXPECT_EQ(machine.total("sluice_sessions"), 0);
}

// --- wills

TEST(Wills, OfConnectedSessionsAreGivenAfterACrash) {
  Machine machine(30);
  const Uid uid = machine.connect(with_will("dev", 20)).uid;
  machine.restart_after_crash();
  const WallMs started = machine.wall_ms();
  machine.run_for(15s);
  ASSERT_EQ(machine.wills.size(), 1u);
  EXPECT_EQ(machine.wills[0].client_id, "dev");
  EXPECT_EQ(machine.wills[0].uid, uid);
  EXPECT_EQ(machine.wills[0].will.topic, "gone/dev");
  EXPECT_LE(std::abs(machine.wills[0].due - (started + 20'000)), 1000);
}

TEST(Wills, ThatWaitOutliveAStop) {
  Machine machine(31);
  const Uid uid = machine.connect(with_will("dev", 100)).uid;
  const WallMs gone_at = machine.wall_ms();
  machine.disconnect("dev", uid, 3600, true);
  machine.stop();
  EXPECT_TRUE(machine.wills.empty()) << "the front end knows it";
  machine.start(2);
  machine.run_for(15s);
  ASSERT_EQ(machine.wills.size(), 1u);
  EXPECT_LE(std::abs(machine.wills[0].due - (gone_at + 100'000)), 1000);
  machine.on(0).erase_will("dev", uid);
  machine.run_for(1s);
  machine.restart_after_crash();
  machine.run_for(15s);
  EXPECT_TRUE(machine.wills.empty());
}

TEST(Wills, GoNoLaterThanTheSession) {
  Machine machine(32);
  const Uid uid = machine.connect(with_will("dev", 100)).uid;
  const WallMs gone_at = machine.wall_ms();
  machine.disconnect("dev", uid, 50, true);
  machine.stop();
  machine.start(2);
  machine.run_for(15s);
  ASSERT_EQ(machine.wills.size(), 1u);
  EXPECT_LE(std::abs(machine.wills[0].due - (gone_at + 50'000)), 1000);
}

TEST(Wills, AreNotKeptUnlessTheyWait) {
  Machine machine(33);
  const Uid uid = machine.connect(with_will("dev", 100)).uid;
  machine.disconnect("dev", uid, 3600, false);
  machine.stop();
  machine.start(2);
  machine.run_for(15s);
  EXPECT_TRUE(machine.wills.empty());
}

TEST(Wills, AreCancelledByAClientThatIsBackBeforeTheSweep) {
  Machine machine(34);
  machine.connect(with_will("dev", 100));
  machine.restart_after_crash();
  EXPECT_TRUE(machine.resume("dev").present);
  machine.run_for(15s);
  EXPECT_TRUE(machine.wills.empty());
}

TEST(Wills, WithoutDelayAreDueWhenACrashHasCutOffTheClient) {
  Machine machine(35);
  const Uid uid = machine.connect(with_will("dev", 0)).uid;
  machine.restart_after_crash();
  EXPECT_TRUE(machine.resume("dev").present);
  machine.run_for(15s);
  ASSERT_EQ(machine.wills.size(), 1u);
  EXPECT_EQ(machine.wills[0].uid, uid);
}

TEST(Wills, AreDueWhenACleanStartEndsTheSession) {
  Machine machine(36);
  const Uid uid = machine.connect(with_will("dev", 100)).uid;
  machine.restart_after_crash();
  machine.connect(stored("dev", true));
  ASSERT_EQ(machine.wills.size(), 1u);
  EXPECT_EQ(machine.wills[0].uid, uid);
  EXPECT_LE(machine.wills[0].due, machine.wall_ms());
}

TEST(Wills, OfAClientThatIsBackAreNotErased) {
  Machine machine(37);
  const Uid uid = machine.connect(with_will("dev", 100)).uid;
  machine.on(0).erase_will("dev", uid);  // of the connection before
  machine.run_for(1s);
  machine.restart_after_crash();
  machine.run_for(15s);
  EXPECT_EQ(machine.wills.size(), 1u);
}

}  // namespace
}  // namespace sluice::sessions
