#include "latest/row.h"

#include <gtest/gtest.h>

#include <array>

#include "log/block.h"
#include "log/packed_header.h"
#include "log/record_batch.h"

namespace sluice::latest {
namespace {

Buffer headers(const log::PackedHeader& packed) {
  std::array<std::byte, log::packed_header_size_max> bytes{};
  const std::size_t size = log::encode_packed_header(packed, bytes.data());
  Buffer out;
  log::append_header(out, log::PackedHeader::name, Bytes(bytes).first(size));
  log::append_header(out, "unit", as_bytes("C"));
  return out;
}

TEST(Row, ComesBackAsItWas) {
  const Buffer packed = headers({.qos = 1, .retain = true, .publisher = 7, .expiry_s = 60});
  const Row row{.version = {1234},
                .timestamp = 5000,
                .flags = log::Record::has_packed | log::Record::has_properties | 1,
                .headers_count = 2,
                .headers = packed,
                .value = as_bytes("21.5")};
  Buffer bytes = encode_row(row);
  auto back = decode_row(bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->version, row.version);
  EXPECT_EQ(back->timestamp, 5000);
  EXPECT_EQ(back->flags, row.flags);
  EXPECT_EQ(back->headers_count, 2u);
  EXPECT_EQ(as_text(back->headers), as_text(packed));
  EXPECT_EQ(as_text(back->value), "21.5");
  EXPECT_EQ(publisher_of(*back), 7u);
  EXPECT_EQ(expires_at(*back), 65'000);
  EXPECT_FALSE(back->cleared());
  set_moved(bytes);
  back = decode_row(bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->version, Row::moved);
  EXPECT_EQ(as_text(back->value), "21.5");
}

TEST(Row, IsRefusedWhenCutShort) {
  const Buffer packed = headers({.qos = 1, .retain = true});
  const Buffer bytes =
      encode_row({.version = {1}, .headers_count = 2, .headers = packed, .value = {}});
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(decode_row(Bytes(bytes).first(size))) << size;
  EXPECT_TRUE(decode_row(bytes));
}

TEST(Row, PositionsComeBackAsTheyWere) {
  const Position position{.next = {1'000'000'000'000}, .partitions = 64, .has_rows = true};
  const Buffer bytes = encode_position(position);
  ASSERT_TRUE(decode_position(bytes));
  EXPECT_EQ(*decode_position(bytes), position);
  EXPECT_FALSE(decode_position(Bytes(bytes).first(bytes.size() - 1)));
}

TEST(Row, KeysTellWhatTheyAreOf) {
  const Partition partition{.stream = {0xfedcba9876543210}, .index = 0xffffffff};
  EXPECT_EQ(partition_in(position_key(partition)), partition);
  EXPECT_EQ(partition_in(rows_of(partition) + to_ordered("a/b")), partition);
  EXPECT_EQ(partition_in("rubbish"), std::nullopt);
  EXPECT_EQ(rows_of(partition).size(), rows_prefix_size);
  EXPECT_GT(end_of(rows_of(partition)), rows_of(partition) + "\xff\xff");
  EXPECT_EQ(end_of("r\x01\xff\xff"), "r\x02");
  EXPECT_EQ(to_record_key(to_ordered("a//b/")), "a//b/");
}

}  // namespace
}  // namespace sluice::latest
