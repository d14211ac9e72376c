// The table's stream is compacted beside it, and the store is behind: rows may neither come back
// nor get lost.

#include <gtest/gtest.h>

#include "table/machine_test.h"

namespace sluice::table {
namespace {

using Rows = std::map<std::string, std::string>;

class TableCompaction : public testing::Test {
 protected:
  Partition partition() { return {machine.backend.stream({}).catalogue().find("__test")->id, 0}; }
  std::int64_t visible_end() {
    return await<stream::Bounds>([&](stream::Stream& stream, Done<stream::Bounds> done) {
             stream.bounds(partition(), std::move(done));
           })
        ->visible_end.value;
  }
  // Records that are still there below `until`.
  std::int64_t records(std::int64_t until) {
    std::int64_t count = 0;
    Offset next;
    while (next.value < until) {
      const auto answer =
          await<stream::ReadAnswer>([&](stream::Stream& stream, Done<stream::ReadAnswer> done) {
            stream.read(partition(), next, 1 << 20, stream::Want::records, std::move(done));
          });
      if (!answer || answer->next == next) break;
      for (const auto& block : answer->blocks) {
        for (const auto& record : block->records())
          count += block->from().value + record.offset_delta < until ? 1 : 0;
      }
      next = answer->next;
    }
    return count;
  }
  template <class T>
  Result<T> await(std::move_only_function<void(stream::Stream&, Done<T>)> call) {
    return stream::await<T>(machine.backend, {}, std::move(call));
  }
  // More than a segment of one row.
  void fill() {
    for (int i = 0; i < 60; ++i)
      ASSERT_TRUE(machine.put(0, "filler", std::string(100'000, static_cast<char>('a' + i % 26))));
  }
  void let_days_pass(int days) { machine.backend.world->run_for(std::chrono::hours(24 * days)); }
  // Ten rows that the store has for good, and that are then removed.
  std::int64_t put_and_remove_rows() {
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(machine.put(0, fmt::format("row{}", i), "v"));
    machine.backend.world->run_for(std::chrono::seconds(1));
    EXPECT_TRUE(machine.store->flush());
    machine.backend.world->run_for(std::chrono::minutes(1));
    const auto from = visible_end();
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(machine.put(0, fmt::format("row{}", i), std::nullopt));
    return from;
  }
  bool has_refolded() {
    Metrics* const all[] = {&machine.metrics[0]};
    return Metrics::render(all).contains("sluice_table_refolds_total{table=\"__test\"} 1");
  }

  Machine machine{1, 1};
};

TEST_F(TableCompaction, WhatTheStoreHasForGoodIsCompacted) {
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(machine.put(0, "k", std::to_string(i)));
  fill();
  ASSERT_TRUE(machine.store->flush());
  let_days_pass(1);
  EXPECT_EQ(records(100), 1);
  EXPECT_EQ(machine.get(0, "k"), "99");
}

TEST_F(TableCompaction, TombstonesStayUntilTheStoreHasThem) {
  const auto from = put_and_remove_rows();
  fill();
  let_days_pass(5);
  fill();
  let_days_pass(5);
  EXPECT_EQ(records(from + 10) - records(from), 10) << "they are held";
  machine.crash();
  machine.start(1);
  EXPECT_EQ(machine.get(0, "row3"), std::nullopt);
  EXPECT_FALSE(has_refolded()) << "nothing is missing, so the rows can be gone on with";
}

// As on a backend that knows no holds.
TEST_F(TableCompaction, RowsAreFoldedAgainWhereTombstonesMayHaveGone) {
  const auto from = put_and_remove_rows();
  fill();
  const auto let_go = [&] {
    machine.backend.world->run_for(std::chrono::minutes(1));  // the table holds for the last time
    machine.at(0, [&] { machine.backend.stream({}).hold(partition(), Offset{1'000'000}); });
  };
  let_go();
  let_days_pass(5);
  fill();
  let_go();
  let_days_pass(5);
  ASSERT_EQ(records(from + 10) - records(from), 0) << "they are gone";
  machine.crash();
  machine.start(1);
  EXPECT_TRUE(has_refolded());
  EXPECT_EQ(machine.get(0, "row3"), std::nullopt);
  EXPECT_EQ(machine.rows(0).size(), 1u);
}

}  // namespace
}  // namespace sluice::table
