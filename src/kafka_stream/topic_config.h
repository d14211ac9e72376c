#pragma once

#include <map>
#include <string>

#include "stream/stream.h"

namespace sluice::kafka_stream {

// Settings of a topic by their Kafka names.
using TopicConfig = std::map<std::string, std::string, std::less<>>;

// What a stream's settings are as those of a topic. StreamConfig::wildcard has no place there.
TopicConfig to_topic_config(const stream::StreamConfig& config);
// The other way round: from what DescribeConfigs says; `partitions`, `wildcard` and `internal` stay
// as in `base`. What is missing or no number is left as in `base`, too: the cluster may be of
// another version.
stream::StreamConfig from_topic_config(const TopicConfig& settings, stream::StreamConfig base);
// Kafka limits the size of a partition, not of a topic: the nearest limit that it can hold.
stream::StreamConfig as_kafka_can(stream::StreamConfig config);

}  // namespace sluice::kafka_stream
