#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "kafka_stream/client.h"
#include "kafka_stream/cursor.h"
#include "kafka_stream/topic_config.h"

namespace sluice::kafka_stream {

// Requests to the cluster that change or describe topics. Each blocks until it is answered, at most
// some seconds; for helper threads. Errors: those of error_of(), with what the cluster says.

struct TopicPlan {
  std::string name;
  std::uint32_t partitions = 1;
  std::int32_t replication = -1;  // -1: the cluster's default
  TopicConfig config;
};
Result<void> create_topic(rd_kafka_t* client, const TopicPlan& plan);
Result<void> delete_topic(rd_kafka_t* client, const std::string& name);
// To `partitions` in all.
Result<void> add_partitions(rd_kafka_t* client, const std::string& name, std::uint32_t partitions);
// Sets `config`, and leaves all other settings that the topic has.
Result<void> alter_topic_config(rd_kafka_t* client, const std::string& name,
                                const TopicConfig& config);

struct TopicSettings {
  TopicConfig all;  // as they work, defaults of the cluster included
  TopicConfig own;  // those that were set on the topic itself
};
// Topics that are not there, or may not be seen, are missing in the answer.
Result<std::map<std::string, TopicSettings>> describe_topics(rd_kafka_t* client,
                                                             const std::vector<std::string>& names);

// The new start.
Result<Offset> delete_records(rd_kafka_t* client, const Place& place, Offset before);

struct PartitionState {
  bool has_leader = false;
  std::uint32_t in_sync = 0;
};
struct ClusterState {
  std::map<std::int32_t, std::string> brokers;  // host:port by id
  // No partitions: the topic is there, but not to be used yet.
  std::map<std::string, std::vector<PartitionState>, std::less<>> topics;
};
// All topics. Makes the client know them as well.
Result<ClusterState> query_cluster(rd_kafka_t* client);

}  // namespace sluice::kafka_stream
