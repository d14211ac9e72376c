#include "kafka/group_rows.h"

#include <gtest/gtest.h>

namespace sluice::kafka {
namespace {

TEST(GroupRows, KeysOfAGroupComeBeforeThoseOfItsOffsetsAndAreReadBack) {
  const GroupRowKey group{.group = "app"};
  const GroupRowKey offset{"app", "t", 3};
  EXPECT_LT(encode_key(group), encode_key(offset)) << "a start reads them in this order";
  EXPECT_EQ(decode_group_row_key(encode_key(group)).value(), group);
  EXPECT_EQ(decode_group_row_key(encode_key(offset)).value(), offset);
  EXPECT_EQ(encode_key(offset), std::string("o\0\3app\0\1t\0\0\0\3", 13));
}

TEST(GroupRows, KeysThatAreCutOrTooLongAreRefused) {
  const std::string key = encode_key({"app", "t", 3});
  for (std::size_t size = 0; size < key.size(); ++size)
    EXPECT_FALSE(decode_group_row_key(key.substr(0, size))) << size;
  EXPECT_FALSE(decode_group_row_key(key + "x"));
  EXPECT_FALSE(decode_group_row_key("x" + key.substr(1)));
}

TEST(GroupRows, ValuesAreReadBack) {
  const OffsetRow offset{42, -1, "half way", 1'700'000'000'000};
  EXPECT_EQ(decode_offset_row(encode_row(offset)).value(), offset);
  GroupRow group{.generation = 7, .protocol_type = "consumer", .protocol = "range", .leader = "m"};
  group.members.push_back({.id = "m",
                           .instance_id = "a",
                           .client_id = "c",
                           .client_host = "/h",
                           .session_timeout_ms = 6000,
                           .rebalance_timeout_ms = 9000,
                           .protocols = {{"range", Buffer(3, std::byte{1})}},
                           .assignment = Buffer(2, std::byte{2})});
  EXPECT_EQ(decode_group_row(encode_row(group)).value(), group);
}

TEST(GroupRows, ValuesOfAnotherVersionAreSaidToBe) {
  Buffer bytes = encode_row(OffsetRow{});
  bytes[0] = std::byte{2};
  EXPECT_EQ(decode_offset_row(bytes).error().code, Errc::unsupported);
  EXPECT_EQ(decode_offset_row({}).error().code, Errc::malformed);
  EXPECT_EQ(decode_group_row(encode_row(OffsetRow{})).error().code, Errc::malformed);
}

}  // namespace
}  // namespace sluice::kafka
