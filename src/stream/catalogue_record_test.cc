#include "stream/catalogue_record.h"

#include <gtest/gtest.h>

namespace sluice::stream {
namespace {

const StreamInfo sensors{"sensors",
                         StreamId{0xfeed},
                         {.partitions = 3,
                          .retention_ms = 1,
                          .retention_bytes = 2,
                          .segment_bytes = 1 << 20,
                          .segment_ms = 5,
                          .max_message_bytes = 4,
                          .compact = true,
                          .expire = false,
                          .delete_retention_ms = 6,
                          .min_compaction_lag_ms = 7,
                          .wildcard = true,
                          .internal = true}};

Buffer value_of(const Block& block) {
  const auto value = block.value(block.records().front());
  return {value.begin(), value.end()};
}

TEST(CatalogueRecord, KeepsAllOfAStream) {
  const auto catalogue = fold_catalogue(std::vector<BlockRef>{encode_stream(sensors, 1000)});
  ASSERT_TRUE(catalogue) << catalogue.error().text;
  const auto* const found = catalogue->find("sensors");
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->id, sensors.id);
  EXPECT_EQ(found->config, sensors.config);
  EXPECT_NE(catalogue->find(catalogue_stream.name), nullptr);
}

TEST(CatalogueRecord, ARemovedStreamIsGoneAndMayComeAgain) {
  auto again = sensors;
  again.id = StreamId{0xbeef};
  const auto catalogue = fold_catalogue(std::vector<BlockRef>{
      encode_stream(sensors, 1), encode_removed("sensors", 2), encode_stream(again, 3)});
  ASSERT_TRUE(catalogue) << catalogue.error().text;
  EXPECT_EQ(catalogue->find("sensors")->id, again.id);
  EXPECT_EQ(catalogue->find(sensors.id), nullptr);
}

TEST(CatalogueRecord, WhatCannotBeReadIsAnErrorAndNotAMissingStream) {
  const auto value = value_of(*encode_stream(sensors, 1));
  for (std::size_t size = 0; size < value.size(); ++size) {
    EXPECT_FALSE(decode_stream("sensors", Bytes(value).first(size))) << size;
  }
  auto longer = value;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(decode_stream("sensors", longer));

  auto later_version = value;
  later_version[0] = std::byte{3};
  EXPECT_EQ(decode_stream("sensors", later_version).error().code, Errc::unsupported);

  auto other = sensors;
  other.id = StreamId{0xbeef};
  EXPECT_FALSE(
      fold_catalogue(std::vector<BlockRef>{encode_stream(sensors, 1), encode_stream(other, 2)}));
  other = sensors;
  other.name = "other";
  EXPECT_FALSE(
      fold_catalogue(std::vector<BlockRef>{encode_stream(sensors, 1), encode_stream(other, 2)}));
}

TEST(CatalogueRecord, OfOneLifeOfAStreamTheLastRecordCounts) {
  auto altered = sensors;
  altered.config.partitions = 5;
  altered.config.compact = false;
  altered.config.expire = true;
  const auto catalogue =
      fold_catalogue(std::vector<BlockRef>{encode_stream(sensors, 1), encode_stream(altered, 2)});
  ASSERT_TRUE(catalogue) << catalogue.error().text;
  EXPECT_EQ(catalogue->find("sensors")->config, altered.config);
  EXPECT_EQ(catalogue->find(sensors.id)->config, altered.config);
}

TEST(CatalogueRecord, ReadsTheFirstVersion) {
  Buffer value;
  Writer writer(value);
  writer.write<std::uint8_t>(1);
  writer.write<std::uint64_t>(0xfeed);
  writer.write<std::uint32_t>(3);
  for (const std::int64_t field : {1, 2, 1 << 20, 4}) writer.write<std::int64_t>(field);
  writer.write<std::uint8_t>(0x01);
  const auto stream = decode_stream("sensors", value);
  ASSERT_TRUE(stream) << stream.error().text;
  EXPECT_EQ(stream->config, (StreamConfig{.partitions = 3,
                                          .retention_ms = 1,
                                          .retention_bytes = 2,
                                          .segment_bytes = 1 << 20,
                                          .max_message_bytes = 4,
                                          .wildcard = true}));
}

}  // namespace
}  // namespace sluice::stream
