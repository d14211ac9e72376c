#include "table/reader.h"

#include <gtest/gtest.h>

#include "log/record_batch.h"
#include "sim/world.h"
#include "table/memory_store_test.h"

namespace sluice::table {
namespace {

// Between what a read found and its answer, something may happen on the shard: here it does.
class InterruptedStore final : public Store {
 public:
  Result<KeptSlot> kept(std::string_view table, std::uint32_t slot) override {
    return rows.kept(table, slot);
  }
  Result<void> write(std::string_view table, std::span<const SlotChange> changes) override {
    return rows.write(table, changes);
  }
  Result<std::optional<Buffer>> get(std::string_view table, std::uint32_t slot,
                                    std::string_view key) override {
    auto found = rows.get(table, slot, key);
    if (after_read) std::exchange(after_read, {})();
    return found;
  }
  Result<Portion> scan(std::string_view table, std::uint32_t slot, const Range& range) override {
    auto found = rows.scan(table, slot, range);
    if (after_read) std::exchange(after_read, {})();
    return found;
  }
  Result<std::optional<FoldState>> persisted(std::string_view table, std::uint32_t slot) override {
    return rows.persisted(table, slot);
  }
  Result<void> flush() override { return rows.flush(); }

  MemoryStore rows;
  Task after_read;
};

class ReaderTest : public testing::Test {
 protected:
  ReaderTest() { change("k", "old"); }

  // A row that becomes visible and is stored at once.
  void change(std::string_view key, std::string_view value) {
    log::BatchBuilder builder;
    builder.add(1000, {.key = as_bytes(key), .value = as_bytes(value), .headers = {}});
    const auto block = builder.finish();
    block->stamp(end_, 0);
    end_ = block->until();
    slots[0].commit(*block);
    SlotChange change{.slot = 0,
                      .rows = {{.key = key, .value = as_bytes(value)}},
                      .fold = {StreamId{1}, end_, 0}};
    ASSERT_TRUE(store->write("t", std::span(&change, 1)));
    reader.on_stored(0, end_);
  }

  sim::SimWorld world{1, 1};
  std::shared_ptr<InterruptedStore> store = std::make_shared<InterruptedStore>();
  Slots slots{ShardId{0}, 1};
  Reader reader{world.loop(0), store, slots, "t"};

 private:
  Offset end_;
};

TEST_F(ReaderTest, AGetSeesWhatIsStoredWhileItReads) {
  store->after_read = [&] { change("k", "new"); };
  std::string seen;
  reader.get(0, "k", [&](const Result<std::optional<Buffer>>& found) {
    ASSERT_TRUE(found && *found);
    seen = as_text(**found);
  });
  world.run_until_idle();
  EXPECT_EQ(seen, "new");
  EXPECT_TRUE(slots[0].overlay().empty()) << "afterwards the store alone has it";
}

TEST_F(ReaderTest, AScanSeesWhatIsStoredWhileItReads) {
  store->after_read = [&] {
    change("k", "new");
    change("l", "also");
  };
  std::vector<Row> seen;
  reader.scan(0, {}, [&](Result<Portion> found) { seen = std::move(found->rows); });
  world.run_until_idle();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(as_text(seen[0].value), "new");
  EXPECT_EQ(seen[1].key, "l");
}

TEST_F(ReaderTest, RowsLeaveTheOverlayThoughReadsNeverEnd) {
  int answers = 0;
  const auto read = [&](auto& again) -> void {
    reader.get(0, "absent", [&](const Result<std::optional<Buffer>>&) {
      if (++answers < 50) again(again);
    });
  };
  // Two chains of reads, so that one is always under way.
  read(read);
  read(read);
  std::size_t most = 0;
  for (int i = 0; i < 40; ++i) {
    change(std::to_string(i), "v");
    world.run_for(std::chrono::milliseconds(1));
    most = std::max(most, slots[0].overlay().size());
  }
  EXPECT_LT(most, 10u);
}

TEST_F(ReaderTest, TooManyReadsAreRefusedAtOnce) {
  int refused = 0;
  int answered = 0;
  for (int i = 0; i < 5000; ++i) {
    reader.get(0, "k", [&](const Result<std::optional<Buffer>>& found) {
      (found ? answered : refused) += 1;
    });
  }
  EXPECT_EQ(refused, 5000 - 4096);
  world.run_until_idle();
  EXPECT_EQ(answered, 4096);
}

}  // namespace
}  // namespace sluice::table
