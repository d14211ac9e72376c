#include "mqtt/rates.h"

#include <gtest/gtest.h>

namespace sluice::mqtt {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr runtime::TimePoint start{seconds(1000)};

// How many messages of `bytes` are taken at `now`, up to `max`.
int take(const Rates& rates, RateUse& used, runtime::TimePoint now, std::uint64_t bytes = 1,
         int max = 10'000) {
  int taken = 0;
  for (; taken < max && rates.has_room(used, now); ++taken) used = rates.after(used, now, 1, bytes);
  return taken;
}

TEST(Rates, WithoutALimitThereIsAlwaysRoom) {
  RateUse used;
  EXPECT_EQ(take({}, used, start, 1 << 20), 10'000);
  EXPECT_FALSE(Rates{}.limited());
}

TEST(Rates, WhatComesTogetherInASecondMayComeAtOnce) {
  for (const std::uint64_t rate : {1u, 3u, 10u, 999u}) {
    const Rates rates{.messages = rate};
    RateUse used;
    EXPECT_EQ(take(rates, used, start), static_cast<int>(rate));
    EXPECT_EQ(take(rates, used, start + seconds(1)), static_cast<int>(rate));
    EXPECT_EQ(take(rates, used, start + seconds(100)), static_cast<int>(rate))
        << "a bucket that is full takes nothing more";
  }
}

TEST(Rates, OverALongTimeTheRateIsKeptExactly) {
  const Rates rates{.messages = 7};
  RateUse used;
  int taken = 0;
  for (int ms = 0; ms < 60'000; ms += 13) taken += take(rates, used, start + milliseconds(ms));
  EXPECT_EQ(taken, 7 + 7 * 60 - 1);
}

TEST(Rates, AMessageLargerThanASecondsWorthPassesAndLeavesADebt) {
  const Rates rates{.bytes = 1000};
  RateUse used;
  EXPECT_EQ(take(rates, used, start, 5000), 1);
  EXPECT_EQ(take(rates, used, start + seconds(4), 5000), 0);
  EXPECT_EQ(take(rates, used, start + milliseconds(4001), 1, 1), 1);
}

TEST(Rates, TheNarrowerOfTwoLimitsHolds) {
  const Rates rates{.messages = 100, .bytes = 1000};
  RateUse used;
  EXPECT_EQ(take(rates, used, start, 200), 5);
  RateUse small;
  EXPECT_EQ(take(rates, small, start, 1), 100);
}

TEST(Rates, ThereIsRoomWhenItWasSaidAndNotBefore) {
  const Rates rates{.messages = 3, .bytes = 77};
  RateUse used;
  for (runtime::TimePoint now = start; now < start + seconds(20);) {
    take(rates, used, now, 10);
    const runtime::TimePoint next = rates.room_at(used);
    ASSERT_GT(next, now);
    EXPECT_FALSE(rates.has_room(used, next - runtime::Duration(1)));
    EXPECT_TRUE(rates.has_room(used, next));
    now = next;
  }
}

TEST(Rates, ALargeCountDoesNotOverflow) {
  const Rates rates{.bytes = 1};
  const RateUse used = rates.after({}, start, 1, 256u << 20);
  EXPECT_EQ(used.bytes_full, start + seconds(256 << 20));
}

TEST(Rates, ASharedUseIsTheSameAsOneOfItsOwn) {
  const Rates rates{.messages = 10, .bytes = 1000};
  SharedRateUse shared;
  RateUse own;
  for (int i = 0; i < 50; ++i) {
    const auto now = start + milliseconds(i * i);
    shared.charge(rates, now, 2, 33);
    own = rates.after(own, now, 2, 33);
    EXPECT_EQ(shared.load().messages_full, own.messages_full);
    EXPECT_EQ(shared.load().bytes_full, own.bytes_full);
  }
}

}  // namespace
}  // namespace sluice::mqtt
