// The small parts of the client commands; the commands themselves are driven against a hub in
// tests/e2e.

#include <gtest/gtest.h>

#include "cli/json.h"
#include "cli/listeners.h"
#include "cli/output.h"
#include "cli/start_point.h"

namespace sluice::cli {
namespace {

TEST(Listeners, AreReadBackAsWritten) {
  const Listeners listeners{{"kafka", "[::1]:9092"}, {"mqtt", "127.0.0.1:1883"}};
  EXPECT_EQ(to_json(listeners), "{\"kafka\":\"[::1]:9092\",\"mqtt\":\"127.0.0.1:1883\"}\n");
  EXPECT_EQ(*parse_string_object(to_json(listeners)), listeners);
  EXPECT_TRUE(parse_string_object("{}")->empty());
}

TEST(Listeners, OtherJsonIsRefused) {
  for (const char* text : {"", "[]", "{\"a\":1}", "{\"a\":\"b\"", "{\"a\":\"b\"} x",
                           "{\"a\" \"b\"}", "{\"a\":\"\\n\"}"})
    EXPECT_FALSE(parse_string_object(text)) << text;
}

TEST(HostPort, HasAHostAndAPort) {
  EXPECT_EQ(parse_host_port("localhost:1883")->host, "localhost");
  EXPECT_EQ(parse_host_port("[::1]:1883")->host, "::1");
  EXPECT_EQ(to_string(HostPort{"::1", 1883}), "[::1]:1883");
  for (const char* text :
       {"", "localhost", ":1883", "localhost:", "localhost:0", "localhost:65536", "localhost:x"})
    EXPECT_FALSE(parse_host_port(text)) << text;
}

TEST(StartPoint, TakesAPlaceAnOffsetATimeOrAnAge) {
  using Kind = StartPoint::Kind;
  constexpr std::int64_t now = 1'714'567'890'123;
  EXPECT_EQ(parse_start_point("earliest", now)->kind, Kind::earliest);
  EXPECT_EQ(parse_start_point("latest", now)->kind, Kind::latest);
  EXPECT_EQ(parse_start_point("42", now)->value, 42);
  EXPECT_EQ(parse_start_point("10m", now)->value, now - 600'000);
  EXPECT_EQ(parse_start_point("2024-05-01T12:51:30Z", now)->value, 1'714'567'890'000);
  EXPECT_EQ(format_time(now), "2024-05-01T12:51:30.123Z");
  for (const char* text : {"", "-1", "yesterday", "2024-05-01"})
    EXPECT_FALSE(parse_start_point(text, now)) << text;
}

TEST(Table, ColumnsAreAsWideAsTheirWidestCell) {
  EXPECT_EQ(format_table({{"NAME", "N"}, {"a-long-name", "1"}}),
            "NAME         N\na-long-name  1\n");
}

}  // namespace
}  // namespace sluice::cli
