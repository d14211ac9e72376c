#include "table/table.h"

#include <gtest/gtest.h>

#include "table/machine_test.h"

namespace sluice::table {
namespace {

using Rows = std::map<std::string, std::string>;

TEST(Table, ARowThatWasPutIsThereAfterACrash) {
  Machine machine(1, 1);
  ASSERT_TRUE(machine.put(3, "k", "v"));
  machine.crash();
  machine.start(1);
  EXPECT_EQ(machine.get(3, "k"), "v");
}

TEST(Table, ARowThatWasRemovedStaysAwayAfterACrash) {
  Machine machine(1, 1);
  ASSERT_TRUE(machine.put(3, "k", "v"));
  ASSERT_TRUE(machine.store->flush());
  ASSERT_TRUE(machine.put(3, "k", std::nullopt));
  machine.crash();
  machine.start(1);
  EXPECT_EQ(machine.get(3, "k"), std::nullopt);
}

TEST(Table, APutIsNotVisibleBeforeItIsDone) {
  Machine machine(1, 1);
  bool done = false;
  bool seen_early = false;
  machine.at(0, [&] {
    machine.table(0).put(0, "k", bytes("v"), [&](const Result<void>&) { done = true; });
    machine.table(0).get(
        0, "k", [&](const Result<std::optional<Buffer>>& row) { seen_early = row->has_value(); });
  });
  EXPECT_FALSE(seen_early);
  ASSERT_TRUE(machine.backend.run_until([&] { return done; }));
  EXPECT_EQ(machine.get(0, "k"), "v");
}

TEST(Table, ARowPutBehindIsVisibleAtOnceAndDurableWhenFlushed) {
  Machine machine(2, 2);
  machine.put_behind(5, "k", "v");
  EXPECT_EQ(machine.get(5, "k"), "v");
  EXPECT_FALSE(machine.table(5).empty(5));
  ASSERT_TRUE(machine.flush(5));
  machine.crash();
  machine.start(2);
  EXPECT_EQ(machine.get(5, "k"), "v");
}

TEST(Table, RowsPutBehindReachTheStreamByThemselvesOneOfEachKey) {
  Machine machine(3, 1);
  for (int i = 0; i < 10; ++i) machine.put_behind(0, "k", std::to_string(i));
  machine.backend.world->run_for(std::chrono::milliseconds(150));
  const auto id = machine.backend.stream({}).catalogue().find("__test")->id;
  const auto bounds = stream::await<stream::Bounds>(
      machine.backend, {}, [&](stream::Stream& stream, Done<stream::Bounds> done) {
        stream.bounds({id, 0}, std::move(done));
      });
  ASSERT_TRUE(bounds);
  EXPECT_EQ(bounds->visible_end, Offset{1});
  machine.crash();
  machine.start(1);
  EXPECT_EQ(machine.get(0, "k"), "9");
}

TEST(Table, ASlotThatNothingWasPutToIsEmpty) {
  Machine machine(4, 1);
  ASSERT_TRUE(machine.put(1, "k", "v"));
  EXPECT_TRUE(machine.table(0).empty(0));
  EXPECT_FALSE(machine.table(1).empty(1));
  ASSERT_TRUE(machine.stop());
  machine.start(1);
  EXPECT_TRUE(machine.table(0).empty(0));
  EXPECT_FALSE(machine.table(1).empty(1));
}

TEST(Table, AfterAStopNothingIsFoldedAgain) {
  Machine machine(5, 2);
  for (std::uint32_t slot = 0; slot < 4; ++slot) {
    ASSERT_TRUE(machine.put(slot, "put", "v"));
    machine.put_behind(slot, "behind", "w");
  }
  ASSERT_TRUE(machine.stop());
  const int writes = machine.store->writes;
  machine.start(3);
  EXPECT_EQ(machine.store->writes, writes);
  for (std::uint32_t slot = 0; slot < 4; ++slot)
    EXPECT_EQ(machine.rows(slot), (Rows{{"behind", "w"}, {"put", "v"}}));
}

TEST(Table, ALostStoreIsMadeAgainFromTheStream) {
  Machine machine(6, 1);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(machine.put(0, std::to_string(i % 7), "v"));
  ASSERT_TRUE(machine.put(0, "3", std::nullopt));
  ASSERT_TRUE(machine.stop());
  machine.store = std::make_shared<MemoryStore>();
  machine.start(1);
  EXPECT_EQ(machine.rows(0),
            (Rows{{"0", "v"}, {"1", "v"}, {"2", "v"}, {"4", "v"}, {"5", "v"}, {"6", "v"}}));
}

TEST(Table, AStoreThatIsAheadOfTheStreamIsThrownAway) {
  Machine machine(7, 1);
  ASSERT_TRUE(machine.put(0, "k", "v"));
  ASSERT_TRUE(machine.stop());
  auto fold = machine.store->kept("__test", 0)->fold;
  ASSERT_TRUE(fold);
  fold->next = fold->next + 1;
  SlotChange change{
      .slot = 0, .rows = {{.key = "later", .value = as_bytes("lost")}}, .fold = *fold};
  ASSERT_TRUE(machine.store->write("__test", std::span(&change, 1)));
  machine.start(1);
  EXPECT_EQ(machine.rows(0), (Rows{{"k", "v"}}));
}

TEST(Table, RowsOfAnotherLifeOfTheStreamAreThrownAway) {
  Machine machine(8, 1);
  ASSERT_TRUE(machine.put(0, "k", "v"));
  ASSERT_TRUE(machine.stop());
  auto fold = machine.store->kept("__test", 0)->fold;
  ASSERT_TRUE(fold);
  fold->stream.value += 1;
  SlotChange change{.slot = 0, .rows = {{.key = "k", .value = as_bytes("old")}}, .fold = *fold};
  ASSERT_TRUE(machine.store->write("__test", std::span(&change, 1)));
  machine.start(1);
  EXPECT_EQ(machine.rows(0), (Rows{{"k", "v"}}));
}

TEST(Table, AStoreThatFailsIsTriedAgainAndReadersMissNothing) {
  Machine machine(9, 1);
  machine.store->fail_next(3);
  ASSERT_TRUE(machine.put(0, "k", "v"));
  EXPECT_EQ(machine.get(0, "k"), "v");
  machine.backend.world->run_for(std::chrono::seconds(5));
  EXPECT_EQ(machine.get(0, "k"), "v");
  EXPECT_EQ(machine.store->writes, 1);
}

TEST(Table, PutsBeyondTheBoundAreRefusedAtOnce) {
  Machine machine(10, 1);
  std::optional<Errc> refused;
  int done = 0;
  machine.at(0, [&] {
    for (int i = 0; i < 20; ++i) {
      machine.table(0).put(0, std::to_string(i), Buffer(1 << 20, std::byte{7}),
                           [&](const Result<void>& result) {
                             if (!result && result.error().code == Errc::busy) refused = Errc::busy;
                             ++done;
                           });
    }
    EXPECT_EQ(done, 4);
  });
  EXPECT_EQ(refused, Errc::busy);
  // The others are too large for this machine's small journal.
  ASSERT_TRUE(machine.backend.run_until([&] { return done == 20; }));
}

TEST(Table, RowsThatAreTooLargeForOneBatchGoInSeveral) {
  Machine machine(11, 1);
  machine.at(0, [&] {
    for (int i = 0; i < 40; ++i)
      machine.table(0).put_behind(0, fmt::format("{:02}", i), Buffer(10'000, std::byte{7}));
  });
  ASSERT_TRUE(machine.flush(0));
  machine.crash();
  machine.start(1);
  EXPECT_EQ(machine.rows(0).size(), 40u);
}

TEST(Table, ARowThatIsTooLargeForTheStreamIsGivenUpAndTheOthersGoOn) {
  Machine machine(12, 1);
  machine.put_behind(0, "large", std::string(200'000, 'x'));
  machine.put_behind(0, "small", "v");
  ASSERT_TRUE(machine.put(0, "other", "w"));
  EXPECT_EQ(machine.put(0, "large", std::string(200'000, 'x')).error().code, Errc::too_large);
  machine.crash();
  machine.start(1);
  EXPECT_EQ(machine.rows(0), (Rows{{"other", "w"}, {"small", "v"}}));
}

TEST(Table, AFullDiskFailsPutsAndDelaysRowsPutBehind) {
  Machine machine(13, 1);
  ASSERT_TRUE(machine.put(0, "before", "v"));
  machine.backend.disk.set_capacity(0);
  EXPECT_EQ(machine.put(1, "k", std::string(150'000, 'x')).error().code, Errc::too_large);
  machine.put_behind(0, "behind", "v");
  bool full = false;
  for (int i = 0; i < 200 && !full; ++i) full = !machine.put(0, "filler", std::string(50'000, 'x'));
  EXPECT_TRUE(full);
  machine.put_behind(0, "late", "v");
  machine.backend.disk.set_capacity(std::uint64_t{1} << 40);
  ASSERT_TRUE(machine.flush(0));
  machine.crash();
  machine.start(1);
  EXPECT_EQ(machine.get(0, "behind"), "v");
  EXPECT_EQ(machine.get(0, "late"), "v");
}

TEST(Table, AStopTellsOfRowsThatCouldNotBeStoredAndTheNextStartFoldsThem) {
  Machine machine(14, 2);
  machine.put_behind(0, "k", "v");
  machine.store->fail_next(1);
  EXPECT_EQ(machine.stop().error().code, Errc::io);
  machine.start(2);
  EXPECT_EQ(machine.get(0, "k"), "v");
}

TEST(Table, AStopOnAFullDiskTellsSoAndEnds) {
  Machine machine(15, 1);
  machine.backend.disk.set_capacity(0);
  while (machine.put(0, "filler", std::string(50'000, 'x'))) {
  }
  machine.put_behind(0, "k", "v");
  EXPECT_EQ(machine.stop_tables().error().code, Errc::disk_full);
}

}  // namespace
}  // namespace sluice::table
