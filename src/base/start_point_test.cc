#include "base/start_point.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

using Kind = StartPoint::Kind;

constexpr std::int64_t now = 1'714'567'890'123;  // 2024-05-01T12:51:30.123Z

StartPoint parse(std::string_view text) { return parse_start_point(text, now).value(); }

TEST(StartPoint, IsAnEndAnOffsetOrAnAge) {
  EXPECT_EQ(parse("earliest"), (StartPoint{Kind::earliest}));
  EXPECT_EQ(parse("latest"), (StartPoint{Kind::latest}));
  EXPECT_EQ(parse("0"), (StartPoint{Kind::offset, 0}));
  EXPECT_EQ(parse("42"), (StartPoint{Kind::offset, 42}));
  EXPECT_EQ(parse("10m"), (StartPoint{Kind::time, now - 600'000}));
}

TEST(StartPoint, IsATimeInAnyNotationOfRfc3339) {
  for (const char* text : {"2024-05-01T12:51:30Z", "2024-05-01T14:51:30+02:00",
                           "2024-05-01T07:21:30-05:30", "2024-05-01T12:51:30.000Z"})
    EXPECT_EQ(parse(text), (StartPoint{Kind::time, 1'714'567'890'000})) << text;
  EXPECT_EQ(parse("2024-05-01T12:51:30.123456Z").value, now);
  EXPECT_EQ(parse("2024-05-01T12:51:30.1Z").value, 1'714'567'890'100);
  EXPECT_EQ(format_time(now), "2024-05-01T12:51:30.123Z");
}

TEST(StartPoint, IsATimeInMillisecondsAfterAnAtOrInMicroseconds) {
  EXPECT_EQ(parse("@1714567890123"), (StartPoint{Kind::time, now}));
  EXPECT_EQ(parse("1714567890123999"), (StartPoint{Kind::time, now}));
  EXPECT_EQ(parse("999999999999999").kind, Kind::offset);
}

TEST(StartPoint, IsNothingElseAndTheErrorNamesTheText) {
  for (const char* text :
       {"", "-1", "yesterday", "2024-05-01", "2024-05-01T12:51:30", "2024-05-01T12:51:30.Z",
        "2024-05-01T12:51:30+2:00", "2024-05-01T12:51:30Zx", "@", "@-1", "Earliest", " 1"}) {
    const auto parsed = parse_start_point(text, now);
    ASSERT_FALSE(parsed) << text;
    EXPECT_TRUE(parsed.error().text.starts_with("'" + std::string(text) + "'")) << text;
  }
}

}  // namespace
}  // namespace sluice
