#include "base/units.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

using std::chrono::milliseconds;

TEST(Units, SizesAreBytesOrBinaryUnits) {
  EXPECT_EQ(*parse_size("4096"), 4096u);
  EXPECT_EQ(*parse_size("64MiB"), 64u << 20);
  EXPECT_EQ(*parse_size("10GiB"), 10ull << 30);
}

TEST(Units, DurationsNeedAUnit) {
  EXPECT_EQ(*parse_duration("7d"), milliseconds(7 * 86'400'000ll));
  EXPECT_EQ(*parse_duration("250ms"), milliseconds(250));
  EXPECT_FALSE(parse_duration("10"));
}

TEST(Units, WhatIsNoAmountIsRefusedWithTheText) {
  for (const char* text : {"", "MiB", "-1MiB", "1 MiB", "1MB", "1.5GiB", "99999999TiB"}) {
    const auto size = parse_size(text);
    ASSERT_FALSE(size) << text;
    EXPECT_NE(size.error().text.find('\'' + std::string(text) + '\''), std::string::npos);
  }
}

TEST(Units, FormattingUsesTheLargestUnitThatLosesNothing) {
  EXPECT_EQ(format_size(64u << 20), "64MiB");
  EXPECT_EQ(format_size(1025), "1025");
  EXPECT_EQ(format_size(0), "0");
  EXPECT_EQ(format_duration(milliseconds(90'000)), "90s");
  EXPECT_EQ(format_duration(milliseconds(604'800'000)), "7d");
}

TEST(Units, IntegersHaveNothingAfterThem) {
  EXPECT_EQ(*parse_integer("-12"), -12);
  EXPECT_FALSE(parse_integer("12x"));
  EXPECT_FALSE(parse_integer(""));
}

}  // namespace
}  // namespace sluice
