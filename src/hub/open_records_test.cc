#include "hub/open_records.h"

#include <gtest/gtest.h>

#include <map>
#include <utility>
#include <vector>

#include "base/random.h"
#include "hub/key_holders.h"

namespace sluice::hub {
namespace {

OpenRecords::Record record_at(std::int64_t offset) {
  return {.position = {.partition = {}, .offset = {offset}}};
}

TEST(OpenRecords, AreFoundByTheirTicketsInWhateverOrderTheyAreClosed) {
  Random random(1);
  OpenRecords open;
  open.set_limit(100);
  std::map<std::uint64_t, std::int64_t> model;
  for (std::int64_t n = 0; n < 50'000; ++n) {
    if (!open.full() && random.one_in(2)) model[open.add(record_at(n))] = n;
    if (model.empty()) continue;
    // Mostly the oldest, so that the span stays short.
    auto which = model.begin();
    if (random.one_in(5)) std::advance(which, random.below(model.size()));
    const auto [ticket, offset] = *which;
    const auto record = open.close(ticket);
    ASSERT_TRUE(record);
    EXPECT_EQ(record->position.offset, Offset{offset});
    EXPECT_FALSE(open.close(ticket)) << "it is closed";
    model.erase(which);
    EXPECT_EQ(open.empty(), model.empty());
  }
  EXPECT_FALSE(open.close(open.next_ticket())) << "nobody has it yet";
  auto rest = model.begin();
  open.close_all([&](const OpenRecords::Record& record) {
    EXPECT_EQ(record.position.offset, Offset{(rest++)->second}) << "oldest first";
  });
  EXPECT_EQ(rest, model.end());
}

TEST(OpenRecords, AreBoundedAlsoWhenTheOldestIsNeverClosed) {
  OpenRecords open;
  open.set_limit(4);
  open.add(record_at(0));
  int given = 1;
  for (; !open.full(); ++given) open.close(open.add(record_at(given)));
  EXPECT_EQ(given, 16);
  EXPECT_FALSE(open.has_room_again());
  open.close(0);
  EXPECT_TRUE(open.has_room_again());
}

TEST(OpenRecords, RoomComesBackWhenHalfIsFree) {
  OpenRecords open;
  open.set_limit(4);
  for (int i = 0; i < 4; ++i) open.add(record_at(i));
  EXPECT_TRUE(open.full());
  open.close(0);
  EXPECT_FALSE(open.full());
  EXPECT_FALSE(open.has_room_again());
  open.close(1);
  EXPECT_TRUE(open.has_room_again());
}

TEST(OpenRecords, AreKeptAsLongAsTheyAreOpen) {
  OpenRecords open;
  open.set_limit(10);
  for (int i = 0; i < 3; ++i) open.add(record_at(i));
  open.close(1);
  EXPECT_TRUE(open.keep(2));
  EXPECT_FALSE(open.keep(1));
  EXPECT_FALSE(open.keep(3));
  std::vector<std::pair<std::int64_t, bool>> all;
  open.for_each([&](const OpenRecords::Record& record) {
    all.emplace_back(record.position.offset.value, record.kept);
  });
  EXPECT_EQ(all, (std::vector<std::pair<std::int64_t, bool>>{{0, false}, {2, true}}));
}

TEST(KeyHolders, AKeyIsHeldUntilAllOfItIsReleased) {
  KeyHolders holders;
  EXPECT_FALSE(holders.find(7));
  holders.hold(7, 2);
  holders.hold(7, 2);
  holders.release(7, 2);
  EXPECT_EQ(holders.find(7), 2u);
  EXPECT_FALSE(holders.find(8));
  holders.release(7, 2);
  EXPECT_FALSE(holders.find(7));
}

TEST(KeyHolders, WhoWasPassedByHoldsTheKeyNoMore) {
  KeyHolders holders;
  holders.hold(7, 2);
  holders.hold(7, 3);
  EXPECT_EQ(holders.find(7), 3u);
  holders.release(7, 2);
  EXPECT_EQ(holders.find(7), 3u) << "what the first one releases is not the other's";
  holders.release(7, 3);
  EXPECT_FALSE(holders.find(7));
}

}  // namespace
}  // namespace sluice::hub
