// What the log does when producers, disks and files misbehave.

#include <gtest/gtest.h>

#include "base/quiet_logger_test.h"
#include "log/journal.h"
#include "log/segment_store.h"
#include "log/sim_log_test.h"

namespace sluice::log {
namespace {

constexpr Partition p0{{7}, 0};

class LogTrouble : public testing::Test {
 protected:
  static TestBatch from_producer(std::int32_t sequence, std::vector<std::string> values,
                                 std::int16_t epoch = 0) {
    return {.values = std::move(values), .producer = 42, .sequence = sequence, .epoch = epoch};
  }
  static void start(LogMachine& machine) {
    ASSERT_TRUE(machine.start());
    machine.log().open(p0, {});
  }
  // Of three records, each in an entry of its own.
  static void start_with_damaged_journal(LogMachine& machine, std::uint64_t at) {
    start(machine);
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(machine.append(p0, {.values = {fmt::format("{}", i)}}));
    machine.kill();
    machine.disk().corrupt(journal_path(0, 0), at);
    ASSERT_TRUE(machine.start());
  }

 private:
  QuietLogger quiet_;
};

TEST_F(LogTrouble, AnswersARepeatWithTheOffsetOfTheOriginal) {
  LogMachine machine(1);
  start(machine);
  ASSERT_TRUE(machine.append(p0, from_producer(0, {"a", "b"})));
  ASSERT_TRUE(machine.append(p0, from_producer(2, {"c"})));
  const auto repeat = machine.append(p0, from_producer(0, {"a", "b"}));
  EXPECT_TRUE(repeat->duplicate);
  EXPECT_EQ(repeat->first, Offset{0});
  EXPECT_EQ(machine.append(p0, from_producer(7, {"x"})).error().code, Errc::sequence_gap);
  EXPECT_EQ(machine.read_all(p0)->size(), 3u);
}

TEST_F(LogTrouble, AnswersARepeatOnlyOnceTheOriginalIsDurable) {
  LogMachine machine(1);
  start(machine);
  std::vector<bool> answers;  // duplicate or not, in the order of the answers
  const auto note = [&](const Result<Appended>& done) { answers.push_back(done->duplicate); };
  machine.log().append(p0, make_block(from_producer(0, {"a"})), note);
  machine.log().append(p0, make_block(from_producer(0, {"a"})), note);
  EXPECT_TRUE(answers.empty());
  machine.wait([&] { return answers.size() == 2; });
  EXPECT_EQ(answers, (std::vector<bool>{false, true}));
  EXPECT_EQ(machine.log().bounds(p0)->visible_end, Offset{1});
}

TEST_F(LogTrouble, KnowsProducersAfterACrash) {
  for (const bool checkpointed : {false, true}) {
    LogMachine machine(1);
    start(machine);
    ASSERT_TRUE(machine.append(p0, from_producer(0, {"a"}, 3)));
    if (checkpointed) machine.world().run_for(std::chrono::seconds(30));
    machine.crash();
    ASSERT_TRUE(machine.start());
    EXPECT_TRUE(machine.append(p0, from_producer(0, {"a"}, 3))->duplicate);
    EXPECT_EQ(machine.append(p0, from_producer(1, {"b"}, 2)).error().code, Errc::producer_fenced);
  }
}

TEST_F(LogTrouble, RefusesAppendsOnAFullDiskAndResumesByItself) {
  LogMachine machine(1);
  start(machine);
  ASSERT_TRUE(machine.append(p0, from_producer(0, {"before"})));
  machine.settle();
  machine.disk().set_capacity(0);
  // The journal is preallocated: it is the segments that find no room, a little later.
  auto refused = machine.append(p0, from_producer(1, {std::string(3000, 'x')}));
  while (refused) {
    machine.settle();
    refused = machine.append(p0, from_producer(2, {"refused"}));
  }
  EXPECT_EQ(refused.error().code, Errc::disk_full);
  EXPECT_FALSE(machine.log().has_room());
  EXPECT_FALSE(machine.log().health().writable);
  EXPECT_EQ(machine.read_all(p0)->front().value, "before") << "reads go on";

  machine.disk().set_capacity(std::uint64_t{1} << 40);
  bool room = false;
  machine.log().on_room([&] { room = true; });
  machine.wait([&] { return room; });
  EXPECT_TRUE(machine.log().health().writable);
  EXPECT_EQ(machine.append(p0, from_producer(2, {"after"}))->first, Offset{2})
      << "the refused batch has left no trace, neither offset nor sequence";
  ASSERT_TRUE(machine.stop());
  ASSERT_TRUE(machine.start());
  EXPECT_EQ(machine.read_all(p0)->back(), (Seen{2, "after"}));
}

TEST_F(LogTrouble, TakesBackWhatAFullJournalRefused) {
  LogMachine machine(1);
  machine.disk().set_capacity(8 * 1024);  // room for a beginning
  start(machine);
  const auto refused = machine.append(p0, from_producer(0, {std::string(9000, 'x')}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::disk_full);
  machine.disk().set_capacity(std::uint64_t{1} << 40);
  bool room = false;
  machine.log().on_room([&] { room = true; });
  machine.wait([&] { return room; });
  EXPECT_EQ(machine.append(p0, from_producer(0, {"a"}))->first, Offset{0});
  machine.crash();
  ASSERT_TRUE(machine.start());
  EXPECT_EQ(*machine.read_all(p0), (std::vector<Seen>{{0, "a"}}));
}

TEST_F(LogTrouble, IsReadOnlyAfterAFailedSyncUntilARestart) {
  LogMachine machine(1);
  start(machine);
  ASSERT_TRUE(machine.append(p0, {.values = {"a"}}));
  machine.settle();  // the journal is preallocated
  machine.disk().fail_next_syncs(1);
  EXPECT_EQ(machine.append(p0, {.values = {"b"}}).error().code, Errc::io);
  EXPECT_EQ(machine.append(p0, {.values = {"c"}}).error().code, Errc::io);
  EXPECT_FALSE(machine.log().health().writable);
  EXPECT_EQ(machine.log().bounds(p0)->visible_end, Offset{1});
  EXPECT_EQ(machine.read_all(p0)->size(), 1u);
  EXPECT_FALSE(machine.stop());
  ASSERT_TRUE(machine.start());
  EXPECT_TRUE(machine.append(p0, {.values = {"d"}}));
}

TEST_F(LogTrouble, SkipsADamagedJournalEntryAndKeepsThoseBehindIt) {
  LogMachine machine(1);
  start_with_damaged_journal(machine, 2 * journal_block + 20);  // the second entry's header
  EXPECT_EQ(machine.recovery().damage().places, 1u);
  EXPECT_EQ(*machine.read_all(p0), (std::vector<Seen>{{0, "0"}, {2, "2"}}));
}

TEST_F(LogTrouble, SkipsADamagedBatchInTheJournal) {
  LogMachine machine(1);
  start_with_damaged_journal(
      machine, 2 * journal_block + journal_entry_header_size + journal_item_size + 30);
  EXPECT_EQ(machine.recovery().damage().places, 1u);
  EXPECT_EQ(*machine.read_all(p0), (std::vector<Seen>{{0, "0"}, {2, "2"}}));
}

TEST_F(LogTrouble, CutsATornTailSilently) {
  LogMachine machine(1);
  start_with_damaged_journal(machine, 3 * journal_block + 20);  // the last entry
  EXPECT_EQ(machine.recovery().damage().places, 0u);
  EXPECT_EQ(machine.read_all(p0)->size(), 2u);
}

TEST_F(LogTrouble, DoesNotStartWithoutACheckpointBesideStreams) {
  LogMachine machine(1);
  start(machine);
  ASSERT_TRUE(machine.append(p0, {.values = {"a"}}));
  ASSERT_TRUE(machine.stop());
  ASSERT_TRUE(machine.disk().remove("checkpoint/recovered"));
  EXPECT_EQ(machine.start().error().code, Errc::corrupt);
  EXPECT_FALSE(machine.disk().list(partition_dir(p0))->empty()) << "nothing was deleted";
}

class LogOsDurability : public LogTrouble {
 protected:
  static Options options() {
    auto options = LogMachine::small_options();
    options.durability = Durability::os;
    return options;
  }
};

TEST_F(LogOsDurability, LosesNothingWhenTheProcessIsKilled) {
  LogMachine machine(1, options());
  start(machine);
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(machine.append(p0, {.values = {"a"}}));
  machine.kill();
  ASSERT_TRUE(machine.start());
  EXPECT_EQ(machine.read_all(p0)->size(), 30u);
  EXPECT_EQ(machine.append(p0, {.values = {"b"}})->first, Offset{30});
}

TEST_F(LogOsDurability, GivesNoOffsetTwiceAfterTheMachineCrashed) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    LogMachine machine(seed, options());
    start(machine);
    for (int i = 0; i < 30; ++i) ASSERT_TRUE(machine.append(p0, {.values = {"a"}}));
    machine.crash();
    start(machine);
    EXPECT_GE(machine.append(p0, {.values = {"b"}})->first, Offset{1 << 20}) << "seed " << seed;
    EXPECT_EQ(machine.read_all(p0)->back().value, "b") << "readers get over the gap";
  }
}

TEST_F(LogOsDurability, GoesOnWithoutAGapAfterAStop) {
  LogMachine machine(1, options());
  start(machine);
  ASSERT_TRUE(machine.append(p0, {.values = {"a"}}));
  ASSERT_TRUE(machine.stop());
  machine.crash();
  ASSERT_TRUE(machine.start());
  EXPECT_EQ(machine.append(p0, {.values = {"b"}})->first, Offset{1});
}

}  // namespace
}  // namespace sluice::log
