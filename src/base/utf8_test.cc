#include "base/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice {
namespace {

using namespace std::string_view_literals;

TEST(Utf8, AcceptsTheFirstAndLastCodePointOfEachLength) {
  for (const auto text :
       {""sv, "\0"sv, "\x7f"sv, "\xc2\x80"sv, "\xdf\xbf"sv, "\xe0\xa0\x80"sv, "\xed\x9f\xbf"sv,
        "\xee\x80\x80"sv, "\xef\xbf\xbf"sv, "\xf0\x90\x80\x80"sv, "\xf4\x8f\xbf\xbf"sv}) {
    EXPECT_TRUE(is_valid_utf8(text)) << ::testing::PrintToString(text);
  }
}

TEST(Utf8, RefusesOverlongFormsSurrogatesAndBeyondTheLastCodePoint) {
  for (const auto text :
       {"\xc0\x80"sv, "\xc1\xbf"sv, "\xe0\x9f\xbf"sv, "\xed\xa0\x80"sv, "\xed\xbf\xbf"sv,
        "\xf0\x8f\xbf\xbf"sv, "\xf4\x90\x80\x80"sv, "\xf5\x80\x80\x80"sv, "\xff"sv}) {
    EXPECT_FALSE(is_valid_utf8(text)) << ::testing::PrintToString(text);
  }
}

TEST(Utf8, RefusesStrayContinuationsAndCutSequences) {
  for (const auto text : {"\x80"sv, "a\xbf"sv, "\xc2"sv,
                          "\xc2"
                          "a"sv,
                          "\xe2\x82"sv,
                          "\xe2\x82"
                          "a"sv,
                          "\xf0\x9f\x98"sv,
                          "\xf0\x9f\x98"
                          "a"sv}) {
    EXPECT_FALSE(is_valid_utf8(text)) << ::testing::PrintToString(text);
  }
}

TEST(Utf8, FindsABadByteAtEveryPlaceBetweenAscii) {
  for (std::size_t i = 0; i < 40; ++i) {
    std::string text(40, 'a');
    text[i] = '\x80';
    EXPECT_FALSE(is_valid_utf8(text)) << i;
    text.replace(i, 1, "\xe2\x82\xac");
    EXPECT_TRUE(is_valid_utf8(text)) << i;
  }
}

TEST(Utf8, ABeginningHasNoHalfCharacter) {
  EXPECT_EQ(beginning_of("abc", 3), "abc");
  EXPECT_EQ(beginning_of("abc", 2), "ab");
  EXPECT_EQ(beginning_of("a\xe2\x82\xac", 3), "a");
  EXPECT_EQ(beginning_of("a\xe2\x82\xac", 4), "a\xe2\x82\xac");
  EXPECT_EQ(beginning_of("\xe2\x82\xac", 1), "");
}

}  // namespace
}  // namespace sluice
