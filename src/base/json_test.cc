#include "base/json.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(Json, StringsAreEscaped) {
  EXPECT_EQ(json_string("a\"b\\c\n\x01\xc3\xa9"), "\"a\\\"b\\\\c\\n\\u0001\xc3\xa9\"");
}

TEST(Json, NoControlCharacterReachesATerminal) {
  EXPECT_EQ(json_string("\x1b[31m\x7f"), R"("\u001b[31m\u007f")");
  EXPECT_EQ(json_string("\xc2\x9b"
                        "2J\xc2\xa0"),
            "\"\\u009b2J\xc2\xa0\"")
      << "CSI, but not a space";
}

TEST(Json, ArraysHoldWhatIsJsonAlready) {
  EXPECT_EQ(json_array({}), "[]");
  EXPECT_EQ(json_array({"1", "\"a\""}), R"([1,"a"])");
  EXPECT_EQ(json_array(std::vector<std::string>{"a", "b"}, json_string), R"(["a","b"])");
}

TEST(Json, BytesThatAreNoTextAreBase64) {
  EXPECT_EQ(JsonObject().add_bytes("payload", "text").str(), R"({"payload":"text"})");
  EXPECT_EQ(JsonObject().add_bytes("payload", "\xff").str(), R"({"payload_base64":"/w=="})");
  EXPECT_EQ(base64("ab"), "YWI=");
  EXPECT_EQ(base64("abc"), "YWJj");
}

}  // namespace
}  // namespace sluice
