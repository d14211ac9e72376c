#include "table/slot.h"

#include <gtest/gtest.h>

#include "table/bytes_test.h"

namespace sluice::table {
namespace {

class SlotTest : public testing::Test {
 protected:
  // The next batch, as the log would give it back.
  std::shared_ptr<log::Block> batch(std::size_t bytes_max = 1 << 20) {
    auto block = slot.next_batch(builder_, 1000, bytes_max);
    block->stamp(end_, 0);
    end_ = block->until();
    return block;
  }
  static std::vector<std::string> keys(const log::Block& block) {
    std::vector<std::string> found;
    for (const auto& record : block.records()) found.emplace_back(as_text(block.key(record)));
    return found;
  }
  void put(const std::string& key, const std::string& value) {
    slot.put(key, bytes(value),
             [this, key](const Result<void>& result) { (result ? done : failed).push_back(key); });
  }
  void behind(const std::string& key, const std::string& value) {
    slot.put_behind(key, bytes(value));
  }
  std::string seen(const std::string& key) {
    const auto found = slot.overlay().find(key);
    if (found == slot.overlay().end()) return "nothing";
    if (!found->second.value) return "removed";
    return std::string(as_text(*found->second.value));
  }

  std::size_t put_bytes = 0;
  Slot slot{put_bytes};
  std::vector<std::string> done;
  std::vector<std::string> failed;

 private:
  log::BatchBuilder builder_;
  Offset end_;
};

using Keys = std::vector<std::string>;

TEST_F(SlotTest, ABatchHoldsAllChangesInTheOrderOfTheCalls) {
  put("p1", "1");
  behind("b1", "1");
  put("p2", "1");
  behind("b2", "1");
  behind("b1", "2");
  const auto block = batch();
  EXPECT_EQ(keys(*block), (Keys{"p1", "p2", "b2", "b1"}));
  slot.commit(*block);
  slot.finish();
  EXPECT_EQ(done, (Keys{"p1", "p2"}));
  EXPECT_EQ(put_bytes, 0u);
  EXPECT_EQ(slot.behind_bytes(), 0u);
  EXPECT_FALSE(slot.is_waiting());
}

TEST_F(SlotTest, ALaterPutHidesARowPutBehindAndNotTheOtherWayRound) {
  behind("k", "1");
  put("k", "2");
  EXPECT_EQ(seen("k"), "1");
  behind("k", "3");
  const auto block = batch();
  slot.commit(*block);
  EXPECT_EQ(seen("k"), "3");
  slot.finish();
  behind("k", "4");
  put("k", "5");
  slot.commit(*batch());
  slot.finish();
  EXPECT_EQ(seen("k"), "5");
}

TEST_F(SlotTest, ARowThatIsReplacedWhileItsBatchIsUnderWayWaitsOn) {
  behind("k", "1");
  const auto first = batch();
  behind("k", "2");
  slot.commit(*first);
  slot.finish();
  slot.stored(first->until());
  EXPECT_EQ(seen("k"), "2");
  ASSERT_TRUE(slot.is_waiting());
  const auto second = batch();
  slot.commit(*second);
  slot.finish();
  EXPECT_FALSE(slot.is_waiting());
  slot.stored(second->until());
  EXPECT_EQ(seen("k"), "nothing");
}

TEST_F(SlotTest, ARowLeavesTheOverlayOnlyWhenTheStoreHasItsNewestVersion) {
  put("k", "1");
  const auto first = batch();
  slot.commit(*first);
  slot.finish();
  put("k", "2");
  const auto second = batch();
  slot.commit(*second);
  slot.finish();
  slot.stored(first->until());
  EXPECT_EQ(seen("k"), "2");
  slot.stored(second->until());
  EXPECT_EQ(seen("k"), "nothing");
}

TEST_F(SlotTest, ARowThatABatchNamesTwiceLeavesOnce) {
  put("k", "1");
  put("other", "1");
  put("k", "2");
  const auto block = batch();
  slot.commit(*block);
  slot.finish();
  EXPECT_EQ(seen("k"), "2");
  slot.stored(block->until());
  EXPECT_TRUE(slot.overlay().empty());
}

TEST_F(SlotTest, AFailedBatchFailsItsPutsAndKeepsWhatWasPutBehind) {
  put("p1", "1");
  behind("b", "1");
  batch();
  put("p2", "1");
  slot.fail({Errc::disk_full, "full"});
  EXPECT_EQ(failed, Keys{"p1"});
  EXPECT_EQ(seen("b"), "1");
  EXPECT_EQ(keys(*batch()), (Keys{"b", "p2"}));
}

TEST_F(SlotTest, ARefusedBatchIsOfferedAgainAsItWas) {
  put("p1", "1");
  behind("b", "1");
  batch();
  slot.retry();
  EXPECT_EQ(keys(*batch()), (Keys{"p1", "b"}));
  EXPECT_TRUE(failed.empty());
}

TEST_F(SlotTest, ABatchIsBoundedAndTheRestFollowsInOrder) {
  for (int i = 0; i < 6; ++i) behind(std::to_string(i), std::string(1000, 'x'));
  behind("0", std::string(1000, 'y'));
  const auto first = batch(3500);
  EXPECT_EQ(keys(*first), (Keys{"1", "2", "3"}));
  slot.commit(*first);
  slot.finish();
  EXPECT_EQ(keys(*batch(3500)), (Keys{"4", "5", "0"}));
}

TEST_F(SlotTest, AFlushIsAnsweredByTheFirstBatchThatLeavesNothingOfBefore) {
  bool flushed = false;
  const auto flush = [&] { slot.flush([&](const Result<void>&) { flushed = true; }); };
  flush();
  EXPECT_TRUE(flushed) << "nothing waits";
  flushed = false;
  behind("a", std::string(1000, 'x'));
  behind("b", std::string(1000, 'x'));
  const auto part = batch(1100);
  flush();
  slot.commit(*part);
  slot.finish();
  EXPECT_FALSE(flushed) << "b still waits";
  // Replaced after the flush was asked for: the older value is not in the log, so the newer one is
  // waited for.
  behind("b", "y");
  const auto rest = batch();
  slot.commit(*rest);
  EXPECT_FALSE(flushed);
  slot.finish();
  EXPECT_TRUE(flushed);
}

TEST_F(SlotTest, AFlushIsAnsweredThoughALaterPutFailed) {
  bool flushed = false;
  behind("a", "1");
  put("p", "1");
  slot.flush([&](const Result<void>&) { flushed = true; });
  batch();
  slot.fail({Errc::io, "no"});
  EXPECT_FALSE(flushed);
  slot.commit(*batch());
  slot.finish();
  EXPECT_TRUE(flushed);
}

TEST_F(SlotTest, ARowThatCanNeverBeAppendedIsGivenUpAndTheOldOneShowsAgain) {
  behind("k", "1");
  const auto first = batch();
  slot.commit(*first);
  slot.finish();
  slot.stored(first->until());
  std::optional<Errc> flushed;
  behind("k", "too large");
  slot.flush([&](const Result<void>& result) { flushed = result.error().code; });
  batch();
  slot.drop_single({Errc::too_large, "too large"});
  EXPECT_EQ(flushed, Errc::too_large);
  EXPECT_FALSE(slot.is_waiting());
  EXPECT_TRUE(slot.overlay().empty());
}

TEST_F(SlotTest, BatchesOfOthersAreFoldedLikeItsOwn) {
  log::BatchBuilder builder;
  builder.add(1000, {.key = as_bytes("k"), .value = as_bytes("theirs"), .headers = {}});
  builder.add(1000, {.key = as_bytes("gone"), .value = {}, .headers = {}, .null_value = true});
  builder.add(1000, {.key = {}, .value = as_bytes("x"), .headers = {}, .null_key = true});
  behind("mine", "1");
  slot.commit(*builder.finish());
  EXPECT_EQ(seen("k"), "theirs");
  EXPECT_EQ(seen("gone"), "removed");
  EXPECT_EQ(slot.overlay().size(), 3u);
}

}  // namespace
}  // namespace sluice::table
