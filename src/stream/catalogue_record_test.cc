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
                          .max_message_bytes = 4,
                          .wildcard = true,
                          .internal = true}};

Buffer value_of(const Block& block) {
  const auto value = block.value(block.records().front());
  return {value.begin(), value.end()};
}

TEST(CatalogueRecord, KeepsAllOfAStream) {
  const auto catalogue = fold_catalogue(std::vector<BlockRef>{encode_created(sensors, 1000)});
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
      encode_created(sensors, 1), encode_removed("sensors", 2), encode_created(again, 3)});
  ASSERT_TRUE(catalogue) << catalogue.error().text;
  EXPECT_EQ(catalogue->find("sensors")->id, again.id);
  EXPECT_EQ(catalogue->find(sensors.id), nullptr);
}

TEST(CatalogueRecord, WhatCannotBeReadIsAnErrorAndNotAMissingStream) {
  const auto value = value_of(*encode_created(sensors, 1));
  for (std::size_t size = 0; size < value.size(); ++size) {
    EXPECT_FALSE(decode_created("sensors", Bytes(value).first(size))) << size;
  }
  auto longer = value;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(decode_created("sensors", longer));

  auto later_version = value;
  later_version[0] = std::byte{2};
  EXPECT_EQ(decode_created("sensors", later_version).error().code, Errc::unsupported);

  EXPECT_FALSE(fold_catalogue(
      std::vector<BlockRef>{encode_created(sensors, 1), encode_created(sensors, 2)}));
}

}  // namespace
}  // namespace sluice::stream
