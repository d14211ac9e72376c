// What goes from a log other than by a drop: deleted records, retention and its holds.

#include <gtest/gtest.h>

#include "log/segment_store.h"
#include "log/sim_log_test.h"

namespace sluice::log {
namespace {

constexpr Partition p0{{7}, 0};

class LogCleanup : public testing::Test {
 protected:
  LogCleanup() : machine(1) {}

  void start(PartitionOptions options = {}) {
    ASSERT_TRUE(machine.start());
    machine.log().open(p0, options);
  }
  // One record a batch; `count` of them fill about `count` / 10 segments.
  void fill(int from, int count) {
    for (int i = from; i < from + count; ++i) {
      const auto done = machine.append(
          p0, {.values = {std::to_string(i) + std::string(100, '.')}, .timestamp = 1000 + i});
      ASSERT_TRUE(done) << done.error().text;
    }
  }
  Result<Offset> delete_records(Offset before) {
    return machine.await<Offset>(
        [&](auto done) { machine.log().delete_records(p0, before, std::move(done)); });
  }
  Offset first() { return machine.log().bounds(p0)->start; }
  std::size_t files() { return machine.disk().list(partition_dir(p0))->size(); }

  LogMachine machine;
};

TEST_F(LogCleanup, DeletedRecordsStayDeletedWhenTheMachineLosesPower) {
  start();
  fill(0, 50);
  EXPECT_EQ(delete_records({33}), Offset{33});
  machine.crash();
  start();
  EXPECT_EQ(first(), Offset{33});
  EXPECT_EQ(machine.read(p0, {32}).error().code, Errc::out_of_range);
  EXPECT_EQ(machine.read(p0, {33})->blocks.front()->from(), Offset{33});
}

TEST_F(LogCleanup, SegmentsOfDeletedRecordsAloneGo) {
  start();
  fill(0, 100);
  machine.settle();
  const std::size_t before = files();
  ASSERT_TRUE(delete_records({95}));
  ASSERT_TRUE(machine.stop());
  EXPECT_LT(files(), before / 4);
  start();
  EXPECT_EQ(first(), Offset{95});
  EXPECT_EQ(machine.read_all(p0)->back().offset, 99);
}

TEST_F(LogCleanup, AllRecordsCanBeDeletedAndOffsetsGoOn) {
  start();
  fill(0, 100);
  EXPECT_EQ(delete_records({100}), Offset{100});
  EXPECT_TRUE(machine.read(p0, {100})->blocks.empty());
  machine.settle();
  machine.log().apply_retention();
  ASSERT_TRUE(machine.stop());
  EXPECT_EQ(files(), 0u);
  start();
  EXPECT_EQ(first(), Offset{100});
  EXPECT_EQ(machine.append(p0, {.values = {"a"}})->first, Offset{100});
}

TEST_F(LogCleanup, DeletingRefusesWhatIsNotThere) {
  start();
  fill(0, 10);
  EXPECT_EQ(delete_records({11}).error().code, Errc::out_of_range);
  EXPECT_EQ(machine
                .await<Offset>([&](auto done) {
                  machine.log().delete_records({{99}, 0}, {}, std::move(done));
                })
                .error()
                .code,
            Errc::not_found);
  EXPECT_EQ(first(), Offset{0});
}

TEST_F(LogCleanup, ATimeIsNotFoundInDeletedRecords) {
  start();
  fill(0, 100);
  ASSERT_TRUE(delete_records({55}));
  EXPECT_EQ(machine.find_time(p0, 1010).offset, Offset{55});
  machine.settle();
  EXPECT_EQ(machine.find_time(p0, 1010).offset, Offset{55});
  EXPECT_EQ(machine.find_time(p0, 1060).offset, Offset{60});
}

TEST_F(LogCleanup, RetentionLeavesAloneWhatIsHeld) {
  start({.retention_ms = 1000});
  fill(0, 100);  // of the year 1970
  machine.settle();
  machine.log().hold(p0, {42});
  machine.log().apply_retention();
  EXPECT_GT(first(), Offset{20}) << "what lies below the hold goes";
  EXPECT_LE(first(), Offset{42});
  EXPECT_EQ(machine.read(p0, {42})->blocks.front()->from(), Offset{42});
  machine.log().hold(p0, {100});
  machine.log().apply_retention();
  EXPECT_EQ(first(), Offset{100});
}

TEST_F(LogCleanup, AnOldSegmentIsClosedByTheNextAppend) {
  start({.segment_ms = 10'000});
  fill(0, 1);
  machine.settle();
  machine.log().apply_retention();
  fill(1, 1);
  machine.settle();
  EXPECT_EQ(files(), 1u) << "it is young";
  machine.world().run_for(std::chrono::seconds(11));
  machine.log().apply_retention();
  fill(2, 1);
  machine.settle();
  EXPECT_TRUE(*machine.disk().exists(segment_path(p0, {{2}})));
  ASSERT_TRUE(machine.stop());
  start({.segment_ms = 10'000});
  machine.log().apply_retention();
  fill(3, 1);
  machine.settle();
  EXPECT_FALSE(*machine.disk().exists(segment_path(p0, {{3}}))) << "young still after a restart";
}

}  // namespace
}  // namespace sluice::log
