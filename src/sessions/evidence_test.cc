#include "sessions/evidence.h"

#include <gtest/gtest.h>

#include "sessions/machine_test.h"

namespace sluice::sessions {
namespace {

using namespace std::chrono_literals;

using PacketIds = std::vector<std::uint16_t>;

TEST(Absorb, TakesWhatIsNewerThanTheProgressInTheOrderOfTheNumbers) {
  Seen seen;
  note_evidence(seen, 2, 10, 5);
  note_evidence(seen, 2, 11, 9);
  note_evidence(seen, 2, 12, 8);
  note_evidence(seen, 2, 12, 7);  // an older use of the packet id
  note_evidence(seen, 4, 13, 99);
  Progress progress{.received = 6, .open = {11}};
  EXPECT_TRUE(absorb(seen, 2, progress));
  EXPECT_EQ(progress.open, (PacketIds{11, 12}));
  EXPECT_EQ(progress.received, 9u);
  EXPECT_FALSE(absorb(seen, 2, progress)) << "it is known now";
  EXPECT_FALSE(absorb(seen, 6, progress));
}

TEST(Evidence, OpensWhatWasPublishedAndNotSaved) {
  Machine machine(1);
  const Uid uid = machine.connect(stored("dev")).uid;
  machine.save("dev", uid, {.received = 1, .open = {20}});
  machine.publish({uid, 20, 1}, 0);
  machine.publish({uid, 21, 2}, 1);
  machine.publish({uid, 22, 3}, 2);
  machine.publish({uid + 2, 23, 1}, 0);
  machine.restart_after_crash();
  const Opened again = machine.resume("dev");
  EXPECT_TRUE(again.crashed);
  EXPECT_EQ(again.progress.open, (PacketIds{20, 21, 22}));
  EXPECT_EQ(again.progress.received, 3u);
}

TEST(Evidence, DoesNotOpenWhatWasReleased) {
  Machine machine(2);
  const Uid uid = machine.connect(stored("dev")).uid;
  machine.publish({uid, 20, 1});
  machine.publish({uid, 21, 2});
  machine.save("dev", uid, {.received = 2, .open = {21}});  // 20 had its PUBREL
  machine.restart_after_crash();
  EXPECT_EQ(machine.resume("dev").progress.open, PacketIds{21});
}

TEST(Evidence, IsSavedByTheSweepForClientsThatStayAway) {
  Machine machine(3);
  const Uid uid = machine.connect(stored("dev")).uid;
  machine.publish({uid, 20, 1});
  machine.restart_after_crash();
  machine.run_for(1min);  // positions have moved on
  machine.restart_after_crash();
  EXPECT_EQ(machine.resume("dev").progress.open, PacketIds{20});
}

TEST(Evidence, OfASessionThatIsBackIsInItsProgress) {
  Machine machine(4);
  const Uid uid = machine.connect(stored("dev")).uid;
  machine.publish({uid, 20, 1});
  machine.restart_after_crash();
  EXPECT_EQ(machine.resume("dev").progress.open, PacketIds{20});
  machine.run_for(1min);
  machine.restart_after_crash();
  EXPECT_EQ(machine.resume("dev").progress.open, PacketIds{20});
}

TEST(Evidence, IsNotSearchedAgainBelowThePositions) {
  Machine machine(5);
  const Uid uid = machine.connect(stored("dev")).uid;
  for (std::uint16_t i = 1; i <= 20; ++i) machine.publish({uid, i, i});
  machine.run_for(1min);
  machine.publish({uid, 30, 21});
  machine.restart_after_crash();
  machine.resume("dev");
  EXPECT_EQ(machine.total("sluice_sessions_searched_offsets_total"), 1);
}

TEST(Evidence, IsNotSearchedAfterAStop) {
  Machine machine(6);
  const Uid uid = machine.connect(stored("dev")).uid;
  for (std::uint16_t i = 1; i <= 20; ++i) machine.publish({uid, i, i});
  machine.run_for(8s);  // the first pass of the sweep is through
  machine.disconnect("dev", uid, 3600);
  machine.stop();
  machine.start(2);
  machine.run_for(15s);
  EXPECT_EQ(machine.total("sluice_sessions_searched_offsets_total"), 0);
}

TEST(Evidence, OfBeforeAnythingWasStoredIsNotSearched) {
  Machine machine(7);
  machine.stop();
  // As a hub that has run without stored sessions leaves it.
  machine.store = std::make_shared<table::MemoryStore>();
  machine.start(2);
  EXPECT_EQ(machine.total("sluice_sessions_searched_offsets_total"), 0);
}

TEST(Evidence, OfAStreamMadeJustBeforeACrashIsFound) {
  Machine machine(8);
  const Uid uid = machine.connect(stored("dev")).uid;
  machine.data = machine.make_stream("young", 2);
  machine.publish({uid, 20, 1}, 0);
  machine.publish({uid, 21, 2}, 1);
  machine.restart_after_crash();
  EXPECT_EQ(machine.resume("dev").progress.open, (PacketIds{20, 21}));
}

TEST(Evidence, IsSearchedFromTheStartWhereTheLogIsGoneBelow) {
  Machine machine(9);
  const Uid uid = machine.connect(stored("dev")).uid;
  for (std::uint16_t i = 1; i <= 5; ++i) machine.publish({uid, i, i});
  const auto start =
      stream::await<Offset>(machine.backend, {}, [&](stream::Stream& stream, Done<Offset> done) {
        stream.delete_records({machine.data, 0}, Offset{3}, std::move(done));
      });
  ASSERT_TRUE(start);
  machine.restart_after_crash();
  EXPECT_EQ(machine.resume("dev").progress.open, (PacketIds{4, 5}));
}

TEST(Evidence, MovesOnOnlyWhenAllIsSaved) {
  Machine machine(10);
  const Uid uid = machine.connect(stored("dev")).uid;
  Task saved;  // the front end takes its time
  machine.flush = [&](std::uint32_t shard, Task done) {
    if (shard == 0) {
      saved = std::move(done);
    } else {
      done();
    }
  };
  machine.publish({uid, 20, 1});
  machine.run_for(1min);
  ASSERT_TRUE(saved);
  machine.restart_after_crash();
  EXPECT_EQ(machine.resume("dev").progress.open, PacketIds{20});
}

TEST(Evidence, MovesOnOnlyWhenWhatWasSavedGotThere) {
  Machine machine(11);
  const Uid uid = machine.connect(stored("dev")).uid;
  machine.run_for(8s);  // the first pass of the sweep is through
  machine.publish({uid, 20, 1});
  // What the front end saves in the round is more than the log takes.
  Progress progress{.received = 1, .open = {20}};
  for (std::uint16_t i = 0; i < 30'000; ++i) {
    progress.open.push_back(1);
    progress.open.push_back(40'000);
  }
  int refused = 0;
  machine.flush = [&](std::uint32_t shard, Task done) {
    if (shard == 0)
      machine.on(0).save("dev", uid, progress,
                         [&](const Result<void>& saved) { refused += saved ? 0 : 1; });
    done();
  };
  machine.run_for(15s);
  EXPECT_GT(refused, 0);
  machine.restart_after_crash();
  EXPECT_EQ(machine.resume("dev").progress.open, PacketIds{20});
}

}  // namespace
}  // namespace sluice::sessions
