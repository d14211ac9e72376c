// Changes of topics as kafka's admin clients ask for them.

#include <gtest/gtest.h>

#include <algorithm>

#include "kafka/config_source.h"
#include "kafka/sim_kafka_test.h"

namespace sluice::kafka {
namespace {

class KafkaTopicAdmin : public testing::Test {
 protected:
  using Change = IncrementalAlterConfigsRequest::Config;

  KafkaTopicAdmin() { kafka.create("t", 2); }

  AlterConfigsResponse::Resource change(std::vector<Change> changes, std::string_view topic = "t",
                                        bool validate_only = false) {
    return client
        .call<AlterConfigsResponse>(
            ApiKey::incremental_alter_configs, 1,
            IncrementalAlterConfigsRequest{.resources = {{.type = resource_topic,
                                                          .name = topic,
                                                          .configs = std::move(changes)}},
                                           .validate_only = validate_only})
        .responses.at(0);
  }
  std::string setting(std::string_view name) {
    const auto described = client.call<DescribeConfigsResponse>(
        ApiKey::describe_configs, 4,
        DescribeConfigsRequest{.resources = {{.type = resource_topic, .name = "t"}}});
    for (const auto& config : described.results.at(0).configs)
      if (config.name == name) return config.value.value_or("null");
    return "missing";
  }
  CreatePartitionsResponse::Topic grow(std::int32_t count, bool validate_only = false) {
    return client
        .call<CreatePartitionsResponse>(
            ApiKey::create_partitions, 3,
            CreatePartitionsRequest{.topics = {{.name = "t", .count = count}},
                                    .validate_only = validate_only})
        .results.at(0);
  }
  std::size_t partitions() {
    return client
        .call<MetadataResponse>(ApiKey::metadata, 12, MetadataRequest{.topics = {{{.name = "t"}}}})
        .topics.at(0)
        .partitions.size();
  }
  void produce(int records) {
    for (int i = 0; i < records; ++i) {
      const Buffer batch = make_batch("x");
      const auto done =
          client.call<ProduceResponse>(ApiKey::produce, 9, produce_request("t", batch));
      ASSERT_EQ(done.topics.at(0).partitions.at(0).error_code, ErrorCode::none);
    }
  }
  DeleteRecordsResponse::Partition delete_before(std::int64_t offset, std::int32_t partition = 0) {
    return client
        .call<DeleteRecordsResponse>(
            ApiKey::delete_records, 2,
            DeleteRecordsRequest{
                .topics = {{.name = "t", .partitions = {{.index = partition, .offset = offset}}}}})
        .topics.at(0)
        .partitions.at(0);
  }
  OffsetForLeaderEpochResponse::Partition end_of(std::int32_t epoch, std::int32_t current = -1,
                                                 std::int32_t partition = 0) {
    return client
        .call<OffsetForLeaderEpochResponse>(
            ApiKey::offset_for_leader_epoch, 4,
            OffsetForLeaderEpochRequest{.topics = {{.name = "t",
                                                    .partitions = {{.index = partition,
                                                                    .current_leader_epoch = current,
                                                                    .leader_epoch = epoch}}}}})
        .topics.at(0)
        .partitions.at(0);
  }

  SimKafka kafka{1};
  SimKafkaClient client = kafka.connect();
};

TEST_F(KafkaTopicAdmin, SettingsAreSetAndGoBackToTheirDefaults) {
  const std::string before = setting("retention.ms");
  EXPECT_EQ(change({{.name = "retention.ms", .value = "60000"}}).error_code, ErrorCode::none);
  EXPECT_EQ(setting("retention.ms"), "60000");
  EXPECT_EQ(change({{.name = "retention.ms", .operation = ConfigOperation::remove}}).error_code,
            ErrorCode::none);
  EXPECT_EQ(setting("retention.ms"), before);
}

TEST_F(KafkaTopicAdmin, ListsAreAppendedToAndSubtractedFrom) {
  EXPECT_EQ(
      change({{.name = "cleanup.policy", .operation = ConfigOperation::append, .value = "compact"}})
          .error_code,
      ErrorCode::none);
  EXPECT_NE(setting("cleanup.policy").find("compact"), std::string::npos);
  EXPECT_NE(setting("cleanup.policy").find("delete"), std::string::npos);
  EXPECT_EQ(
      change(
          {{.name = "cleanup.policy", .operation = ConfigOperation::subtract, .value = "delete"}})
          .error_code,
      ErrorCode::none);
  EXPECT_EQ(setting("cleanup.policy"), "compact");
  const auto no_list =
      change({{.name = "retention.ms", .operation = ConfigOperation::append, .value = "1"}});
  EXPECT_EQ(no_list.error_code, ErrorCode::invalid_config);
}

TEST_F(KafkaTopicAdmin, WhatIsWrongIsSaidAndNothingIsChanged) {
  const std::string before = setting("retention.ms");
  const auto misspelt = change(
      {{.name = "retention.ms", .value = "60000"}, {.name = "retention.byte", .value = "1"}});
  EXPECT_EQ(misspelt.error_code, ErrorCode::invalid_config);
  EXPECT_NE(misspelt.error_message->find("retention.bytes"), std::string::npos);
  EXPECT_EQ(setting("retention.ms"), before);
  EXPECT_EQ(change({{.name = "retention.ms", .value = "x"}}).error_code, ErrorCode::invalid_config);
  EXPECT_EQ(change({{.name = "retention.ms"}}).error_code, ErrorCode::invalid_config);
  EXPECT_EQ(change({{.name = "nothing", .operation = ConfigOperation::remove}}).error_code,
            ErrorCode::invalid_config);
  EXPECT_EQ(change({}, "missing").error_code, ErrorCode::unknown_topic_or_partition);
}

TEST_F(KafkaTopicAdmin, ValidationChangesNothing) {
  const std::string before = setting("retention.ms");
  EXPECT_EQ(change({{.name = "retention.ms", .value = "60000"}}, "t", true).error_code,
            ErrorCode::none);
  EXPECT_EQ(change({{.name = "retention.ms", .value = "x"}}, "t", true).error_code,
            ErrorCode::invalid_config);
  EXPECT_EQ(setting("retention.ms"), before);
  EXPECT_EQ(grow(4, true).error_code, ErrorCode::none);
  EXPECT_EQ(partitions(), 2u);
}

TEST_F(KafkaTopicAdmin, AlterConfigsSetsAllThatItDoesNotNameToDefaults) {
  const std::string before = setting("segment.ms");
  ASSERT_EQ(change({{.name = "segment.ms", .value = "60000"}}).error_code, ErrorCode::none);
  const auto altered = client.call<AlterConfigsResponse>(
      ApiKey::alter_configs, 2,
      AlterConfigsRequest{.resources = {{.type = resource_topic,
                                         .name = "t",
                                         .configs = {{.name = "retention.ms", .value = "5"}}}}});
  EXPECT_EQ(altered.responses.at(0).error_code, ErrorCode::none);
  EXPECT_EQ(setting("retention.ms"), "5");
  EXPECT_EQ(setting("segment.ms"), before);
  EXPECT_EQ(partitions(), 2u);
}

TEST_F(KafkaTopicAdmin, BrokersAndRepeatedTopicsAreRefused) {
  const auto answer = client.call<AlterConfigsResponse>(
      ApiKey::incremental_alter_configs, 0,
      IncrementalAlterConfigsRequest{.resources = {{.type = resource_broker, .name = "0"},
                                                   {.type = resource_topic, .name = "t"},
                                                   {.type = resource_topic, .name = "t"}}});
  EXPECT_EQ(answer.responses.at(0).error_code, ErrorCode::invalid_request);
  EXPECT_EQ(answer.responses.at(1).error_code, ErrorCode::none);
  EXPECT_EQ(answer.responses.at(2).error_code, ErrorCode::invalid_request);
}

TEST_F(KafkaTopicAdmin, PartitionsGetMoreAndNeverFewer) {
  EXPECT_EQ(grow(5).error_code, ErrorCode::none);
  EXPECT_EQ(partitions(), 5u);
  for (const std::int32_t count : {5, 4, 0, -1, 1'000'000}) {
    const auto refused = grow(count);
    EXPECT_EQ(refused.error_code, ErrorCode::invalid_partitions) << count;
    EXPECT_TRUE(refused.error_message.has_value());
  }
  EXPECT_EQ(partitions(), 5u);
}

TEST_F(KafkaTopicAdmin, NewPartitionsBelongToThisBroker) {
  const auto assigned = [&](std::vector<CreatePartitionsRequest::Assignment> assignments) {
    return client
        .call<CreatePartitionsResponse>(
            ApiKey::create_partitions, 2,
            CreatePartitionsRequest{
                .topics = {{.name = "t", .count = 3, .assignments = std::move(assignments)}}})
        .results.at(0)
        .error_code;
  };
  EXPECT_EQ(assigned({{.broker_ids = {1}}}), ErrorCode::invalid_replica_assignment);
  EXPECT_EQ(assigned({{.broker_ids = {0}}, {.broker_ids = {0}}}),
            ErrorCode::invalid_replica_assignment);
  EXPECT_EQ(assigned({{.broker_ids = {0}}}), ErrorCode::none);
}

TEST(KafkaMqttStream, KeepsItsPartitionAndIsCoveredByWildcards) {
  Options options;
  options.mqtt_stream = "mqtt";
  SimKafka kafka(1, options);
  kafka.create("mqtt");
  auto client = kafka.connect();
  const auto grown = client
                         .call<CreatePartitionsResponse>(
                             ApiKey::create_partitions, 3,
                             CreatePartitionsRequest{.topics = {{.name = "mqtt", .count = 2}}})
                         .results.at(0);
  EXPECT_EQ(grown.error_code, ErrorCode::invalid_partitions);
  EXPECT_NE(grown.error_message.value_or("").find("one order"), std::string::npos);

  const auto alter = [&](std::vector<AlterConfigsRequest::Config> configs) {
    return client
        .call<AlterConfigsResponse>(
            ApiKey::alter_configs, 2,
            AlterConfigsRequest{.resources = {{.type = resource_topic,
                                               .name = "mqtt",
                                               .configs = std::move(configs)}}})
        .responses.at(0)
        .error_code;
  };
  EXPECT_EQ(alter({{.name = "sluice.wildcard", .value = "false"}}), ErrorCode::invalid_config);
  EXPECT_EQ(alter({{.name = "retention.ms", .value = "1000"}}), ErrorCode::none);
  const auto* stream = kafka.backend.stream(ShardId{0}).catalogue().find("mqtt");
  ASSERT_NE(stream, nullptr);
  EXPECT_EQ(stream->config.retention_ms, 1000);
  EXPECT_TRUE(stream->config.wildcard) << "what is not named goes back to the stream's own default";
}

TEST_F(KafkaTopicAdmin, RecordsAreDeletedUpToAnOffsetOrAll) {
  produce(5);
  const auto some = delete_before(3);
  EXPECT_EQ(some.error_code, ErrorCode::none);
  EXPECT_EQ(some.low_watermark, 3);
  const auto gone = client.call<FetchResponse>(ApiKey::fetch, 12, fetch_request("t", 2));
  EXPECT_EQ(gone.topics.at(0).partitions.at(0).error_code, ErrorCode::offset_out_of_range);
  EXPECT_EQ(delete_before(6).error_code, ErrorCode::offset_out_of_range);
  EXPECT_EQ(delete_before(-2).error_code, ErrorCode::offset_out_of_range);
  EXPECT_EQ(delete_before(0, 9).error_code, ErrorCode::unknown_topic_or_partition);
  EXPECT_EQ(delete_before(DeleteRecordsRequest::high_watermark).low_watermark, 5);
}

TEST_F(KafkaTopicAdmin, TheOnlyEpochEndsWhereThePartitionDoes) {
  produce(3);
  EXPECT_EQ(end_of(0).leader_epoch, 0);
  EXPECT_EQ(end_of(0).end_offset, 3);
  EXPECT_EQ(end_of(1).end_offset, -1);
  EXPECT_EQ(end_of(1).error_code, ErrorCode::none);
  EXPECT_EQ(end_of(0, 0).end_offset, 3);
  EXPECT_EQ(end_of(0, 1).error_code, ErrorCode::unknown_leader_epoch);
  EXPECT_EQ(end_of(0, -1, 9).error_code, ErrorCode::unknown_topic_or_partition);
}

TEST_F(KafkaTopicAdmin, NoPartitionIsEverOnTheMove) {
  const auto answer = client.call<ListPartitionReassignmentsResponse>(
      ApiKey::list_partition_reassignments, 0, ListPartitionReassignmentsRequest{});
  EXPECT_EQ(answer.error_code, ErrorCode::none);
  EXPECT_TRUE(answer.topics.empty());
}

}  // namespace
}  // namespace sluice::kafka
