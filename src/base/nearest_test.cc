#include "base/nearest.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace sluice {
namespace {

constexpr std::array<std::string_view, 4> names{"retention.ms", "retention.bytes", "segment.bytes",
                                                "mqtt.port"};

TEST(Nearest, FindsTheNameThatATypoMeant) {
  EXPECT_EQ(nearest("retention.mss", names), "retention.ms");
  EXPECT_EQ(nearest("retenton.byte", names), "retention.bytes");
  EXPECT_EQ(nearest("mqtt.prot", names), "mqtt.port");
  EXPECT_EQ(nearest("segment.bytes", names), "segment.bytes");
}

TEST(Nearest, SuggestsNothingForAWordThatResemblesNone) {
  EXPECT_EQ(nearest("colour", names), "");
  EXPECT_EQ(nearest("", names), "");
  EXPECT_EQ(nearest(std::string(100'000, 'r'), names), "");
}

}  // namespace
}  // namespace sluice
