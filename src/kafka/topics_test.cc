#include <gtest/gtest.h>

#include "kafka/sim_kafka_test.h"
#include "kafka/topics.h"

namespace sluice::kafka {
namespace {

CreateTopicsResponse::Topic create(SimKafkaClient& client, const CreateTopicsRequest::Topic& topic,
                                   bool validate_only = false) {
  return client
      .call<CreateTopicsResponse>(
          ApiKey::create_topics, 7,
          CreateTopicsRequest{.topics = {topic}, .validate_only = validate_only})
      .topics.at(0);
}

MetadataResponse::Topic describe(SimKafkaClient& client, std::string_view name,
                                 bool allow_create = false) {
  return client
      .call<MetadataResponse>(
          ApiKey::metadata, 12,
          MetadataRequest{.topics = {{{.name = name}}}, .allow_auto_topic_creation = allow_create})
      .topics.at(0);
}

TEST(KafkaTopics, AreCreatedWithinTheMetadataRequestThatMissesThem) {
  SimKafka kafka(1);
  auto client = kafka.connect();
  EXPECT_EQ(describe(client, "t").error_code, ErrorCode::unknown_topic_or_partition);
  const auto created = describe(client, "t", true);
  EXPECT_EQ(created.error_code, ErrorCode::none);
  EXPECT_EQ(created.partitions.size(), 1u);
  EXPECT_EQ(describe(client, "t").topic_id, created.topic_id);
  EXPECT_EQ(describe(client, "no/such", true).error_code, ErrorCode::invalid_topic);
  EXPECT_EQ(describe(client, "__mine", true).error_code, ErrorCode::invalid_topic);
}

TEST(KafkaTopics, AreNotCreatedByMetadataBeyondTheLimit) {
  Options options;
  options.auto_create_max = 3;
  SimKafka kafka(2, options);
  auto client = kafka.connect();
  MetadataRequest request{.topics = {{{.name = "a"}, {.name = "b"}, {.name = "c"}, {.name = "d"}}}};
  const auto response = client.call<MetadataResponse>(ApiKey::metadata, 12, request);
  EXPECT_EQ(response.topics.at(2).error_code, ErrorCode::none);
  EXPECT_EQ(response.topics.at(3).error_code, ErrorCode::unknown_topic_or_partition);
}

TEST(KafkaTopics, AreAllListedButInternalOnes) {
  SimKafka kafka(3);
  kafka.create("t", 3);
  auto client = kafka.connect();
  for (std::int16_t version = 0; version <= 12; ++version) {
    MetadataRequest all;
    if (version == 0) all.topics.emplace();
    const auto response = client.call<MetadataResponse>(ApiKey::metadata, version, all);
    ASSERT_EQ(response.topics.size(), 1u) << "version " << version;
    EXPECT_EQ(response.topics[0].name, "t");
    EXPECT_EQ(response.topics[0].partitions.size(), 3u);
    EXPECT_EQ(response.brokers.at(0).host, "10.0.0.1");
    EXPECT_EQ(response.brokers[0].port, 9092);
  }
}

TEST(KafkaTopics, AreCheckedBeforeTheyAreCreated) {
  SimKafka kafka(4);
  auto client = kafka.connect();
  EXPECT_EQ(create(client, {.name = "a/b"}).error_code, ErrorCode::invalid_topic);
  EXPECT_EQ(create(client, {.name = "t", .num_partitions = 0}).error_code,
            ErrorCode::invalid_partitions);
  EXPECT_EQ(create(client, {.name = "t", .replication_factor = 3}).error_code,
            ErrorCode::invalid_replication_factor);
  EXPECT_EQ(create(client, {.name = "t", .assignments = {{0, {1}}}}).error_code,
            ErrorCode::invalid_replica_assignment);
  const auto bad_config = create(client, {.name = "t", .configs = {{"retention.mss", "1"}}});
  EXPECT_EQ(bad_config.error_code, ErrorCode::invalid_config);
  EXPECT_NE(bad_config.error_message.value().find("retention.ms"), std::string::npos);
  EXPECT_EQ(create(client, {.name = "t"}, true).error_code, ErrorCode::none);
  EXPECT_EQ(describe(client, "t").error_code, ErrorCode::unknown_topic_or_partition)
      << "it was only validated";

  EXPECT_EQ(create(client, {.name = "t", .assignments = {{0, {0}}, {1, {0}}}}).num_partitions, 2);
  EXPECT_EQ(create(client, {.name = "t"}).error_code, ErrorCode::topic_already_exists);
}

TEST(KafkaTopics, GetANewIdWhenCreatedAgain) {
  SimKafka kafka(5);
  auto client = kafka.connect();
  const auto first = create(client, {.name = "t"}).topic_id;
  const DeleteTopicsRequest by_id{.topics = {{.name = std::nullopt, .topic_id = first}}};
  EXPECT_EQ(client.call<DeleteTopicsResponse>(ApiKey::delete_topics, 6, by_id).topics.at(0).name,
            "t");
  EXPECT_EQ(
      client.call<DeleteTopicsResponse>(ApiKey::delete_topics, 6, by_id).topics.at(0).error_code,
      ErrorCode::unknown_topic_id);
  EXPECT_NE(create(client, {.name = "t"}).topic_id, first);
  const DeleteTopicsRequest by_name{.topic_names = {"t", "nope"}};
  const auto deleted = client.call<DeleteTopicsResponse>(ApiKey::delete_topics, 4, by_name);
  EXPECT_EQ(deleted.topics.at(0).error_code, ErrorCode::none);
  EXPECT_EQ(deleted.topics.at(1).error_code, ErrorCode::unknown_topic_or_partition);
}

TEST(KafkaTopics, TellTheirSettingsAndWhereTheyComeFrom) {
  SimKafka kafka(6);
  auto client = kafka.connect();
  create(client, {.name = "t", .configs = {{"retention.ms", "5000"}}});
  const DescribeConfigsRequest request{
      .resources = {{2, "t", {{"retention.ms", "retention.bytes"}}}, {2, "nope", {}}, {9, "x", {}}},
      .include_documentation = true};
  const auto response = client.call<DescribeConfigsResponse>(ApiKey::describe_configs, 4, request);
  const auto& configs = response.results.at(0).configs;
  ASSERT_EQ(configs.size(), 2u);
  EXPECT_EQ(configs[0].value, "5000");
  EXPECT_EQ(configs[0].source, ConfigSource::topic);
  EXPECT_TRUE(configs[0].documentation);
  EXPECT_EQ(configs[1].source, ConfigSource::built_in);
  EXPECT_EQ(response.results.at(1).error_code, ErrorCode::unknown_topic_or_partition);
  EXPECT_EQ(response.results.at(2).error_code, ErrorCode::invalid_request);
}

TEST(KafkaTopics, TellTheirOffsets) {
  SimKafka kafka(7);
  kafka.create("t");
  auto client = kafka.connect();
  const auto ask = [&](std::int64_t timestamp, std::int16_t version = 7) {
    const ListOffsetsRequest request{
        .topics = {{.name = "t", .partitions = {{.timestamp = timestamp}}}}};
    return client.call<ListOffsetsResponse>(ApiKey::list_offsets, version, request)
        .topics.at(0)
        .partitions.at(0);
  };
  EXPECT_EQ(ask(ListOffsetsRequest::max_timestamp).offset, -1) << "no record yet";
  for (int i = 0; i < 3; ++i) {
    const auto batch = make_batch("x");  // at time 1000
    client.call<ProduceResponse>(ApiKey::produce, 7, produce_request("t", batch));
  }
  EXPECT_EQ(ask(ListOffsetsRequest::earliest).offset, 0);
  EXPECT_EQ(ask(ListOffsetsRequest::latest).offset, 3);
  EXPECT_EQ(ask(999).offset, 0);
  EXPECT_EQ(ask(999).timestamp, 1000);
  EXPECT_EQ(ask(1001).offset, -1);
  EXPECT_EQ(ask(ListOffsetsRequest::max_timestamp).timestamp, 1000);
  EXPECT_EQ(ask(ListOffsetsRequest::max_timestamp, 6).error_code, ErrorCode::invalid_request);
}

TEST(KafkaTopics, IdsLeadBackToTheirStreams) {
  EXPECT_EQ(stream_id_of(topic_id_of(StreamId{77})), StreamId{77});
  EXPECT_FALSE(stream_id_of(Uuid{}));
}

}  // namespace
}  // namespace sluice::kafka
