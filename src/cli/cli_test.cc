// The small parts of the client commands; the commands themselves are driven against a hub in
// tests/e2e.

#include <gtest/gtest.h>

#include "cli/admin_client.h"
#include "cli/json.h"
#include "cli/listeners.h"
#include "cli/output.h"

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

TEST(Printable, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(printable("plain \xc3\xa9 \xf0\x9f\x98\x80"), "plain \xc3\xa9 \xf0\x9f\x98\x80");
  EXPECT_EQ(printable("\x1b[2J\n\x7f"), "\\x1b[2J\\x0a\\x7f");
  EXPECT_EQ(printable("\xc2\x9b\xe2\x80\xae\xe2\x81\xa6"), "\\u009b\\u202e\\u2066");
  EXPECT_EQ(printable("\xff\xc3"), "\\xff\\xc3") << "no UTF-8";
  EXPECT_EQ(printable(""), "");
}

TEST(PercentEncoding, LeavesNothingThatAUrlWouldMisread) {
  EXPECT_EQ(percent_encode("a-Z_0.~"), "a-Z_0.~");
  EXPECT_EQ(percent_encode("a/b+#%?&= \xc3\xa9"), "a%2Fb%2B%23%25%3F%26%3D%20%C3%A9");
}

TEST(Table, ColumnsAreAsWideAsTheirWidestCell) {
  EXPECT_EQ(format_table({{"NAME", "N"}, {"a-long-name", "1"}}),
            "NAME         N\na-long-name  1\n");
}

}  // namespace
}  // namespace sluice::cli
