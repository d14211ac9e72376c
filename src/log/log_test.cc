#include "log/log.h"

#include <gtest/gtest.h>

#include "log/segment_store.h"
#include "log/sim_log_test.h"

namespace sluice::log {
namespace {

constexpr Partition p0{{7}, 0};
constexpr Partition p1{{7}, 1};

std::string value_of(int i) { return fmt::format("value-{:04}", i); }

// Appends records of one batch each until the partition holds `count`.
void fill(LogMachine& machine, Partition partition, int from, int count, std::size_t padding = 0) {
  for (int i = from; i < from + count; ++i) {
    const auto done = machine.append(
        partition, {.values = {value_of(i) + std::string(padding, '.')}, .timestamp = 1000 + i});
    ASSERT_TRUE(done) << done.error().text;
  }
}

TEST(Log, GivesOffsetsInTheOrderOfTheAppends) {
  LogMachine machine(1);
  ASSERT_TRUE(machine.start());
  machine.log().open(p0, {});
  EXPECT_EQ(machine.append(p0, {.values = {"a", "b"}})->first, Offset{0});
  EXPECT_EQ(machine.append(p0, {.values = {"c"}})->first, Offset{2});
  EXPECT_EQ(*machine.read_all(p0), (std::vector<Seen>{{0, "a"}, {1, "b"}, {2, "c"}}));
  EXPECT_EQ(machine.committed()[p0], *machine.read_all(p0));
}

TEST(Log, RefusesWhatItDoesNotKnowOrCannotHold) {
  LogMachine machine(1);
  ASSERT_TRUE(machine.start());
  EXPECT_EQ(machine.append(p0, {.values = {"a"}}).error().code, Errc::not_found);
  machine.log().open(p0, {});
  EXPECT_EQ(machine.append(p0, {.values = {std::string(64 * 1024, 'x')}}).error().code,
            Errc::too_large);
  EXPECT_EQ(machine.read(p0, {1}).error().code, Errc::out_of_range);
}

TEST(Log, ShowsNothingBeforeItIsDurable) {
  LogMachine machine(1);
  ASSERT_TRUE(machine.start());
  machine.log().open(p0, {});
  bool done = false;
  machine.log().append(p0, make_block({.values = {"a"}}),
                       [&](const Result<Appended>&) { done = true; });
  EXPECT_EQ(machine.log().bounds(p0)->visible_end, Offset{0});
  EXPECT_TRUE(machine.read(p0, {0})->blocks.empty());
  machine.wait([&] { return done; });
  EXPECT_EQ(machine.log().bounds(p0)->visible_end, Offset{1});
}

// Appends once, at the end of a turn.
struct AppendAtTurnEnd final : runtime::TurnHook {
  explicit AppendAtTurnEnd(LogMachine& m) : machine(m) {
    machine.world().loop(0).add_turn_hook(*this, runtime::TurnPhase::send);
  }
  ~AppendAtTurnEnd() { machine.world().loop(0).remove_turn_hook(*this); }
  void on_turn_end() override {
    if (std::exchange(appended, true)) return;
    machine.log().append(p0, make_block({.values = {"a"}}),
                         [this](const Result<Appended>& result) { durable = result.has_value(); });
  }
  LogMachine& machine;
  bool appended = false;
  bool durable = false;
};

TEST(Log, WritesAtOnceWhatALaterHookOfTheTurnAppends) {
  LogMachine machine(1);
  ASSERT_TRUE(machine.start());
  machine.log().open(p0, {});
  machine.settle();  // the journal files are ready: nothing else makes the loop turn
  AppendAtTurnEnd hook(machine);
  machine.world().loop(0).post([] {});
  EXPECT_TRUE(
      machine.world().run_until([&] { return hook.durable; }, std::chrono::milliseconds(50)))
      << "it must not wait until something else makes the loop turn";
}

TEST(Log, IsBusyWhenTooMuchWaitsForTheDiskAndTellsWhenThereIsRoom) {
  auto options = LogMachine::small_options();
  options.pending_max = 100;
  LogMachine machine(1, options);
  ASSERT_TRUE(machine.start());
  machine.log().open(p0, {});
  int appended = 0;
  const auto count = [&](const Result<Appended>& done) { appended += done ? 1 : 0; };
  machine.log().append(p0, make_block({.values = {std::string(200, 'x')}}), count);
  EXPECT_FALSE(machine.log().has_room());
  std::optional<Errc> refused;
  machine.log().append(p0, make_block({.values = {"a"}}),
                       [&](const Result<Appended>& r) { refused = r.error().code; });
  EXPECT_EQ(refused, Errc::busy) << "at once, in the call";
  bool room = false;
  machine.log().on_room([&] { room = true; });
  machine.wait([&] { return room; });
  EXPECT_EQ(appended, 1);
  EXPECT_TRUE(machine.append(p0, {.values = {"b"}}));
}

TEST(Log, ReadsFromSegmentsWhatTheCacheHasLost) {
  LogMachine machine(1);
  ASSERT_TRUE(machine.start());
  machine.log().open(p0, {});
  fill(machine, p0, 0, 300);
  machine.settle();
  const auto seen = machine.read_all(p0, 500);
  ASSERT_EQ(seen->size(), 300u);
  for (int i = 0; i < 300; ++i)
    EXPECT_EQ((*seen)[static_cast<std::size_t>(i)], (Seen{i, value_of(i)}));
  EXPECT_GT(machine.disk().list(partition_dir(p0))->size(), 10u)
      << "segments rolled at 2 KiB, indexes beside them";
}

TEST(Log, KeepsEverythingOverAStop) {
  LogMachine machine(1);
  ASSERT_TRUE(machine.start());
  machine.log().open(p0, {});
  machine.log().open(p1, {});
  fill(machine, p0, 0, 100);
  ASSERT_TRUE(machine.stop());
  ASSERT_TRUE(machine.start());
  EXPECT_EQ(machine.recovery().damage().places, 0u);
  EXPECT_FALSE(machine.log().has(p1)) << "a partition without records leaves no trace";
  EXPECT_EQ(machine.read_all(p0)->size(), 100u);
  fill(machine, p0, 100, 1);
  EXPECT_EQ(machine.read_all(p0)->back(), (Seen{100, value_of(100)}));
}

TEST(Log, KeepsWhatWasAcknowledgedOverACrash) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    LogMachine machine(seed);
    ASSERT_TRUE(machine.start());
    machine.log().open(p0, {});
    fill(machine, p0, 0, 40, 100);
    machine.crash();
    ASSERT_TRUE(machine.start());
    EXPECT_EQ(machine.recovery().damage().places, 0u);
    EXPECT_EQ(machine.read_all(p0)->size(), 40u) << "seed " << seed;
  }
}

TEST(Log, MovesPartitionsWhenTheNumberOfShardsChanges) {
  LogMachine machine(1);
  int expected = 0;
  for (const std::uint32_t shards : {3u, 2u, 1u, 4u}) {
    machine.set_shards(shards);
    ASSERT_TRUE(machine.start());
    for (std::uint32_t i = 0; i < 8; ++i) {
      const Partition partition{{9}, i};
      machine.log(partition).open(partition, {});
      fill(machine, partition, expected, 5);
      ASSERT_EQ(machine.read_all(partition)->size(), static_cast<std::size_t>(expected + 5))
          << i << " of " << shards;
    }
    expected += 5;
    shards % 2 == 0 ? machine.kill() : machine.crash();
  }
}

TEST(Log, ForgetsADroppedPartitionForGood) {
  LogMachine machine(1);
  ASSERT_TRUE(machine.start());
  machine.log().open(p0, {});
  machine.log().open(p1, {});
  fill(machine, p0, 0, 3);
  fill(machine, p1, 0, 3);
  machine.settle();
  std::optional<Errc> late;
  machine.log().append(p0, make_block({.values = {"a"}}),
                       [&](const Result<Appended>& r) { late = r.error().code; });
  machine.log().drop(p0);
  EXPECT_EQ(machine.read(p0, {0}).error().code, Errc::not_found);
  machine.settle();
  EXPECT_EQ(late, Errc::closed);
  EXPECT_TRUE(machine.disk().list(partition_dir(p0))->empty());
  machine.crash();
  ASSERT_TRUE(machine.start());
  EXPECT_EQ(machine.log().partitions(), std::vector<Partition>{p1});
}

TEST(Log, FindsRecordsByTime) {
  LogMachine machine(1);
  ASSERT_TRUE(machine.start());
  machine.log().open(p0, {});
  EXPECT_EQ(machine.find_time(p0, 0).timestamp, -1);
  fill(machine, p0, 0, 100);  // timestamps 1000 ... 1099
  const auto check = [&] {
    EXPECT_EQ(machine.find_time(p0, 0).offset, Offset{0});
    EXPECT_EQ(machine.find_time(p0, 1042).offset, Offset{42});
    EXPECT_EQ(machine.find_time(p0, 1042).timestamp, 1042);
    EXPECT_EQ(machine.find_time(p0, 1099).offset, Offset{99});
    EXPECT_EQ(machine.find_time(p0, 1100).offset, Offset{100});
    EXPECT_EQ(machine.find_time(p0, 1100).timestamp, -1);
  };
  check();
  machine.settle();
  check();
  const auto newest = machine.await<Log::Found>(
      [&](auto done) { machine.log().find_max_time(p0, std::move(done)); });
  EXPECT_EQ(newest->offset, Offset{99});
}

// Bytes of the batches from an offset on.
std::uint64_t bytes_from(LogMachine& machine, Partition partition, Offset from) {
  std::uint64_t bytes = 0;
  while (from < machine.log().bounds(partition)->visible_end) {
    const auto answer = machine.read(partition, from);
    for (const BlockRef& block : answer->blocks)
      if (block->from() >= from) bytes += block->bytes().size();
    from = answer->next;
  }
  return bytes;
}

TEST(Log, FindsWhereTheNewestBytesBegin) {
  constexpr std::uint64_t batch_max = 1200;
  Options options = LogMachine::small_options();
  options.segment_size = 256 * 1024;
  LogMachine machine(1, options);
  ASSERT_TRUE(machine.start());
  machine.log().open(p0, {});
  const auto newest = [&](std::uint64_t bytes) {
    return *machine.await<Offset>(
        [&](auto done) { machine.log().find_newest(p0, bytes, std::move(done)); });
  };
  EXPECT_EQ(newest(1), Offset{0});
  fill(machine, p0, 0, 600, 1000);  // segments of 256 KiB, with an entry each 64 KiB
  const auto check = [&] {
    for (const std::uint64_t bytes : {1u, 1'000u, 100'000u, 300'000u, 600'000u}) {
      const std::uint64_t found = bytes_from(machine, p0, newest(bytes));
      EXPECT_GE(found, bytes);
      EXPECT_LE(found, bytes + SegmentIndex::spacing + batch_max) << bytes;
    }
    EXPECT_EQ(newest(1 << 20), Offset{0});
  };
  check();
  machine.settle();
  check();
  ASSERT_TRUE(machine.stop());
  ASSERT_TRUE(machine.start());
  machine.log().open(p0, {});
  check();
  ASSERT_TRUE(machine.await<Offset>(
      [&](auto done) { machine.log().delete_records(p0, {597}, std::move(done)); }));
  EXPECT_EQ(newest(100'000), Offset{597});
  EXPECT_EQ(
      machine.await<Offset>([&](auto done) { machine.log().find_newest(p1, 1, std::move(done)); })
          .error()
          .code,
      Errc::not_found);
}

TEST(Log, DropsOldSegmentsBySize) {
  LogMachine machine(1);
  ASSERT_TRUE(machine.start());
  machine.log().open(p0, {.retention_bytes = 4096});
  fill(machine, p0, 0, 300);
  machine.settle();
  machine.log().apply_retention();
  const auto bounds = *machine.log().bounds(p0);
  EXPECT_GT(bounds.start, Offset{100});
  EXPECT_EQ(machine.read(p0, bounds.start + -1).error().code, Errc::out_of_range);
  ASSERT_TRUE(machine.stop());
  EXPECT_LT(machine.disk().list(partition_dir(p0))->size(), 8u);
  ASSERT_TRUE(machine.start());
  EXPECT_EQ(machine.log().bounds(p0)->start, bounds.start);
  EXPECT_EQ(machine.read_all(p0)->front().offset, bounds.start.value);
}

TEST(Log, DropsEvenTheLastSegmentWhenAllOfItIsTooOld) {
  LogMachine machine(1);
  ASSERT_TRUE(machine.start());
  machine.log().open(p0, {.retention_ms = 1000});
  fill(machine, p0, 0, 3);  // of the year 1970
  machine.log().apply_retention();
  EXPECT_EQ(machine.log().bounds(p0)->start, Offset{0}) << "not yet written: it stays";
  machine.settle();
  machine.log().apply_retention();
  EXPECT_EQ(machine.log().bounds(p0)->start, Offset{3});
  ASSERT_TRUE(machine.stop());
  EXPECT_TRUE(machine.disk().list(partition_dir(p0))->empty());
  ASSERT_TRUE(machine.start());
  EXPECT_EQ(machine.append(p0, {.values = {"a"}})->first, Offset{3});
}

TEST(Log, ReadsOnBehindADamagedBatch) {
  LogMachine machine(1);
  ASSERT_TRUE(machine.start());
  machine.log().open(p0, {});
  fill(machine, p0, 0, 100);
  ASSERT_TRUE(machine.stop());
  machine.disk().corrupt(segment_path(p0, {0}), 400);
  ASSERT_TRUE(machine.start());
  const auto answer = machine.read(p0, {0});
  EXPECT_GT(answer->skipped, 0u);
  const auto seen = machine.read_all(p0);
  EXPECT_EQ(seen->size(), 99u);
  EXPECT_EQ(seen->back(), (Seen{99, value_of(99)})) << "reads go on behind the damage";
  EXPECT_GT(machine.corrupt_batches(), 0u);
}

}  // namespace
}  // namespace sluice::log
