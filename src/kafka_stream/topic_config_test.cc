#include "kafka_stream/topic_config.h"

#include <gtest/gtest.h>

namespace sluice::kafka_stream {
namespace {

TEST(TopicConfig, WhatATopicHoldsComesBackAsItWas) {
  stream::StreamConfig config{.partitions = 3, .retention_ms = 7, .retention_bytes = 30};
  for (const bool compact : {false, true}) {
    config.compact = compact;
    EXPECT_EQ(from_topic_config(to_topic_config(config), {.partitions = 3}), config);
  }
  config.expire = false;
  EXPECT_EQ(from_topic_config(to_topic_config(config), {.partitions = 3}), config);
}

TEST(TopicConfig, ALimitOfTheStreamIsOneOfEachPartitionRoundedUp) {
  const stream::StreamConfig config{.partitions = 3, .retention_bytes = 100};
  EXPECT_EQ(to_topic_config(config).at("retention.bytes"), "34");
  EXPECT_EQ(as_kafka_can(config).retention_bytes, 102);
  EXPECT_EQ(as_kafka_can({}).retention_bytes, -1);
}

TEST(TopicConfig, ASegmentSizeThatIsNotSaidIsLeftToTheCluster) {
  EXPECT_FALSE(to_topic_config({}).contains("segment.bytes"));
  EXPECT_EQ(to_topic_config({.segment_bytes = 1 << 20}).at("segment.bytes"), "1048576");
}

TEST(TopicConfig, SettingsThatMakeNoSenseHereChangeNothing) {
  EXPECT_EQ(from_topic_config({{"retention.ms", "soon"}, {"flush.ms", "1"}}, {}),
            stream::StreamConfig{});
}

}  // namespace
}  // namespace sluice::kafka_stream
