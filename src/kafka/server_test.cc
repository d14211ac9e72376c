#include <gtest/gtest.h>

#include "kafka/sim_kafka_test.h"

namespace sluice::kafka {
namespace {

using namespace std::chrono_literals;

constexpr std::int16_t produce_version = 9;
constexpr std::int16_t fetch_version = 12;

ProduceResponse::Partition produce(SimKafkaClient& client, std::string_view topic, Bytes batch) {
  return client
      .call<ProduceResponse>(ApiKey::produce, produce_version, produce_request(topic, batch))
      .topics.at(0)
      .partitions.at(0);
}

FetchResponse::Partition receive_fetch(SimKafkaClient& client) {
  return client.receive<FetchResponse>(ApiKey::fetch, fetch_version).topics.at(0).partitions.at(0);
}

FetchResponse::Partition fetch(SimKafkaClient& client, const FetchRequest& request) {
  client.send(ApiKey::fetch, fetch_version, request);
  return receive_fetch(client);
}

Bytes records_of(const FetchResponse::Partition& partition) {
  return partition.records.slices.empty() ? Bytes() : partition.records.slices[0].bytes;
}

// Base offsets of the batches in a fetch response.
std::vector<std::int64_t> offsets_of(Bytes records) {
  std::vector<std::int64_t> offsets;
  while (!records.empty()) {
    const auto header = log::decode_batch_header(records);
    offsets.push_back(header.value().base_offset);
    records = records.subspan(header->total_size());
  }
  return offsets;
}

TEST(KafkaServer, GivesBackTheBatchesThatItTook) {
  SimKafka kafka(1);
  kafka.create("t");
  auto client = kafka.connect();
  const auto batch = make_batch("hello");
  EXPECT_EQ(produce(client, "t", batch).base_offset, 0);
  EXPECT_EQ(produce(client, "t", batch).base_offset, 1);

  const auto fetched = fetch(client, fetch_request("t", 1));
  EXPECT_EQ(fetched.error_code, ErrorCode::none);
  EXPECT_EQ(fetched.high_watermark, 2);
  const Bytes records = records_of(fetched);
  ASSERT_EQ(offsets_of(records), std::vector<std::int64_t>{1});
  EXPECT_TRUE(std::ranges::equal(records.subspan(16), Bytes(batch).subspan(16)))
      << "all but base offset and leader epoch is as it was sent";
}

TEST(KafkaServer, AnswersALongPollWhenARecordBecomesVisible) {
  SimKafka kafka(2);
  kafka.create("t");
  auto consumer = kafka.connect();
  auto producer = kafka.connect();
  consumer.send(ApiKey::fetch, fetch_version, fetch_request("t", 0, 60'000));
  kafka.world().run_for(5s);
  ASSERT_FALSE(consumer.has_response()) << "there is nothing to send yet";
  produce(producer, "t", make_batch("x"));
  kafka.world().run_for(5s);
  ASSERT_TRUE(consumer.has_response());
  EXPECT_EQ(offsets_of(records_of(receive_fetch(consumer))), std::vector<std::int64_t>{0});
}

TEST(KafkaServer, AnswersALongPollWithNothingWhenItsTimeIsOver) {
  SimKafka kafka(3);
  kafka.create("t");
  auto client = kafka.connect();
  const auto begin = kafka.world().now();
  const auto fetched = fetch(client, fetch_request("t", 0, 3'000));
  EXPECT_TRUE(records_of(fetched).empty());
  EXPECT_EQ(fetched.high_watermark, 0);
  EXPECT_GE(kafka.world().now() - begin, 3s);
}

TEST(KafkaServer, CollectsMinBytesInALongPoll) {
  SimKafka kafka(4);
  kafka.create("t");
  auto consumer = kafka.connect();
  auto producer = kafka.connect();
  const auto batch = make_batch("x");
  auto request = fetch_request("t", 0, 60'000);
  request.min_bytes = static_cast<std::int32_t>(3 * batch.size());
  consumer.send(ApiKey::fetch, fetch_version, request);
  for (int i = 0; i < 2; ++i) produce(producer, "t", batch);
  kafka.world().run_for(5s);
  EXPECT_FALSE(consumer.has_response());
  produce(producer, "t", batch);
  EXPECT_EQ(offsets_of(records_of(receive_fetch(consumer))), (std::vector<std::int64_t>{0, 1, 2}));
}

TEST(KafkaServer, SendsTheFirstBatchWholeAndKeepsTheLimitsBehindIt) {
  SimKafka kafka(5);
  kafka.create("t");
  auto client = kafka.connect();
  const auto batch = make_batch(std::string(5000, 'x'));
  for (int i = 0; i < 4; ++i) produce(client, "t", batch);
  auto request = fetch_request("t", 0);
  request.topics[0].partitions[0].partition_max_bytes = 1;
  EXPECT_EQ(offsets_of(records_of(fetch(client, request))), std::vector<std::int64_t>{0});
  request.topics[0].partitions[0].partition_max_bytes =
      static_cast<std::int32_t>(2 * batch.size() + 1);
  EXPECT_EQ(offsets_of(records_of(fetch(client, request))), (std::vector<std::int64_t>{0, 1}));
}

TEST(KafkaServer, RefusesOffsetsOutsideTheLogAtOnce) {
  SimKafka kafka(6);
  kafka.create("t");
  auto client = kafka.connect();
  const auto begin = kafka.world().now();
  EXPECT_EQ(fetch(client, fetch_request("t", 5, 60'000)).error_code,
            ErrorCode::offset_out_of_range);
  EXPECT_EQ(fetch(client, fetch_request("nope", 0, 60'000)).error_code,
            ErrorCode::unknown_topic_or_partition);
  EXPECT_LT(kafka.world().now() - begin, 30s);
}

TEST(KafkaServer, AnswersARepeatedIdempotentBatchWithItsOldOffset) {
  SimKafka kafka(7);
  kafka.create("t");
  auto client = kafka.connect();
  const auto id =
      client.call<InitProducerIdResponse>(ApiKey::init_producer_id, 4, InitProducerIdRequest{});
  const auto batch = [&](std::int32_t sequence) {
    return make_batch("x", {id.producer_id, id.producer_epoch, sequence});
  };
  EXPECT_EQ(produce(client, "t", batch(0)).base_offset, 0);
  EXPECT_EQ(produce(client, "t", batch(1)).base_offset, 1);
  const auto repeated = produce(client, "t", batch(0));
  EXPECT_EQ(repeated.error_code, ErrorCode::none);
  EXPECT_EQ(repeated.base_offset, 0);
  EXPECT_EQ(produce(client, "t", batch(5)).error_code, ErrorCode::out_of_order_sequence_number);
}

TEST(KafkaServer, KnowsIdempotentProducersAfterARestart) {
  SimKafka kafka(18);
  kafka.create("t");
  const auto batch = make_batch("x", {.id = 5, .epoch = 0, .sequence = 0});
  const auto produce_once = [&] {
    auto client = kafka.connect();
    return produce(client, "t", batch).base_offset;
  };
  EXPECT_EQ(produce_once(), 0);
  kafka.restart();
  EXPECT_EQ(produce_once(), 0);
}

TEST(KafkaServer, NeverGivesAProducerIdTwice) {
  SimKafka kafka(8);
  auto client = kafka.connect();
  const auto init = [&] {
    return client.call<InitProducerIdResponse>(ApiKey::init_producer_id, 4, InitProducerIdRequest{})
        .producer_id;
  };
  const auto first = init();
  EXPECT_NE(first, init());
  const InitProducerIdRequest transactional{.transactional_id = "tx"};
  EXPECT_EQ(
      client.call<InitProducerIdResponse>(ApiKey::init_producer_id, 4, transactional).error_code,
      ErrorCode::unsupported_version);
}

// Network and disk by seed: requests arrive in pieces, and shards' appends end in any order.
TEST(KafkaServer, AnswersPipelinedRequestsInOrderAndKeepsTheOrderOfTheirBatches) {
  constexpr int requests = 150;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    // So little credit that appends to the other shard are refused as busy again and again.
    SimKafka kafka(seed, {}, 2, {.append_credit = 4096});
    kafka.create("t", 2);
    auto client = kafka.connect();
    for (int i = 0; i < requests; ++i) {
      const auto batch = make_batch(std::string(500, 'x'));
      client.send(ApiKey::produce, produce_version, produce_request("t", batch, i % 2));
    }
    client.send(ApiKey::fetch, fetch_version, fetch_request("t", 0));
    for (int i = 0; i < requests; ++i) {
      const auto response = client.receive<ProduceResponse>(ApiKey::produce, produce_version);
      const auto& answer = response.topics.at(0).partitions.at(0);
      ASSERT_EQ(answer.error_code, ErrorCode::none) << "seed " << seed;
      ASSERT_EQ(answer.index, i % 2) << "seed " << seed;
      ASSERT_EQ(answer.base_offset, i / 2) << "seed " << seed;
    }
    EXPECT_EQ(receive_fetch(client).error_code, ErrorCode::none);
  }
}

TEST(KafkaServer, KeepsARequestBehindALongPollUntilThatIsAnswered) {
  SimKafka kafka(9);
  kafka.create("t");
  auto client = kafka.connect();
  client.send(ApiKey::fetch, fetch_version, fetch_request("t", 0, 2'000));
  client.send(ApiKey::produce, produce_version, produce_request("t", make_batch("x")));
  EXPECT_TRUE(records_of(receive_fetch(client)).empty());
  const auto produced = client.receive<ProduceResponse>(ApiKey::produce, produce_version);
  EXPECT_EQ(produced.topics.at(0).partitions.at(0).base_offset, 0);
}

TEST(KafkaServer, ForgetsALongPollWhoseClientHasGone) {
  SimKafka kafka(10);
  kafka.create("t");
  auto consumer = kafka.connect();
  consumer.send(ApiKey::fetch, fetch_version, fetch_request("t", 0, 60'000));
  kafka.world().run_for(2s);
  ASSERT_EQ(kafka.server->connections(), 1u);
  consumer.close();
  kafka.world().run_for(2s);
  EXPECT_EQ(kafka.server->connections(), 0u);
  auto producer = kafka.connect();
  EXPECT_EQ(produce(producer, "t", make_batch("x")).base_offset, 0);
}

TEST(KafkaServer, RefusesBatchesThatAreNotOneGoodBatch) {
  SimKafka kafka(11);
  kafka.create("t");
  auto client = kafka.connect();
  const auto good = make_batch("x");
  auto damaged = good;
  damaged.back() ^= std::byte{1};
  EXPECT_EQ(produce(client, "t", damaged).error_code, ErrorCode::corrupt_message);
  auto two = good;
  append(two, good);
  EXPECT_EQ(produce(client, "t", two).error_code, ErrorCode::invalid_record);
  auto control = good;
  control[22] = std::byte{0x20};
  log::seal_batch(control);
  EXPECT_EQ(produce(client, "t", control).error_code, ErrorCode::invalid_record);
  auto transactional = good;
  transactional[22] = std::byte{0x10};
  log::seal_batch(transactional);
  EXPECT_EQ(produce(client, "t", transactional).error_code, ErrorCode::invalid_txn_state);
  EXPECT_EQ(produce(client, "t", good).base_offset, 0) << "nothing of that was written";
}

TEST(KafkaServer, RefusesBatchesOverTheLimitOfTheTopicAndWrongAcks) {
  Options options;
  options.default_config.max_message_bytes = 1000;
  SimKafka kafka(12, options);
  kafka.create("t");
  auto client = kafka.connect();
  EXPECT_EQ(produce(client, "t", make_batch(std::string(1000, 'x'))).error_code,
            ErrorCode::message_too_large);
  const auto batch = make_batch("x");
  auto request = produce_request("t", batch);
  request.acks = 2;
  const auto response = client.call<ProduceResponse>(ApiKey::produce, produce_version, request);
  EXPECT_EQ(response.topics.at(0).partitions.at(0).error_code, ErrorCode::invalid_required_acks);
}

TEST(KafkaServer, AnswersNothingWithoutAcksAndClosesOnFailure) {
  SimKafka kafka(13);
  kafka.create("t");
  auto client = kafka.connect();
  const auto batch = make_batch("x");
  auto request = produce_request("t", batch);
  request.acks = 0;
  client.send(ApiKey::produce, produce_version, request);
  client.skip_answer();
  EXPECT_EQ(fetch(client, fetch_request("t", 0, 5'000)).high_watermark, 1);
  request.topics[0].name = "nope";
  client.send(ApiKey::produce, produce_version, request);
  EXPECT_TRUE(client.closed());
}

TEST(KafkaServer, AnswersAnUnknownApiVersionsVersionInTheOldestLayout) {
  SimKafka kafka(14);
  auto client = kafka.connect();
  const auto request = [] {
    Buffer bytes;
    Writer writer(bytes);
    writer.write<std::int32_t>(8);
    writer.write<std::int16_t>(static_cast<std::int16_t>(ApiKey::api_versions));
    writer.write<std::int16_t>(99);
    writer.write<std::int32_t>(1);
    return bytes;
  }();
  client.send_bytes(request);
  const auto response = client.receive<ApiVersionsResponse>(ApiKey::api_versions, 0);
  EXPECT_EQ(response.error_code, ErrorCode::unsupported_version);
  EXPECT_EQ(response.api_keys.size(), all_apis().size());
  EXPECT_FALSE(client.closed()) << "the client tries again with a version it has learnt";
}

TEST(KafkaServer, ClosesConnectionsThatBreakTheProtocol) {
  SimKafka kafka(15);
  const std::vector<std::vector<int>> inputs = {
      {0x7f, 0xff, 0xff, 0xff},                                // a frame over the limit
      {0xff, 0xff, 0xff, 0xff},                                // a negative size
      {0, 0, 0, 2, 0, 0},                                      // no whole header
      {0, 0, 0, 8, 3, 0xe7, 0, 0, 0, 0, 0, 1},                 // an unknown API
      {0, 0, 0, 10, 0, 0, 0, 2, 0, 0, 0, 1, 0xff, 0xff},       // Produce 2
      {0, 0, 0, 11, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0xff}  // a body that ends too early
  };
  for (const auto& input : inputs) {
    auto client = kafka.connect();
    Buffer bytes;
    for (const int value : input) bytes.push_back(static_cast<std::byte>(value));
    client.send_bytes(bytes);
    EXPECT_TRUE(client.closed()) << "input " << (&input - inputs.data());
  }
  EXPECT_EQ(kafka.server->connections(), 0u);
}

TEST(KafkaServer, TellsClientsToComeToTheAddressAdvertisedForTheirListener) {
  Options options;
  options.advertised = "hub.example:19092";
  options.tls_advertised = "secure.example:19093";
  SimKafka kafka(1, options);
  auto client = kafka.connect();
  const auto metadata =
      client.call<MetadataResponse>(ApiKey::metadata, 12, MetadataRequest{.topics = {{}}});
  EXPECT_EQ(metadata.brokers.at(0).host, "hub.example");
  EXPECT_EQ(metadata.brokers.at(0).port, 19092);
}

TEST(KafkaServer, ClosesConnectionsThatAreSilentForTooLong) {
  Options options;
  options.connections_max_idle = 60s;
  SimKafka kafka(16, options);
  auto silent = kafka.connect();
  kafka.world().run_for(50s);
  EXPECT_EQ(kafka.server->connections(), 1u);
  kafka.world().run_for(30s);
  EXPECT_EQ(kafka.server->connections(), 0u);
}

TEST(KafkaServer, StopsReadingAPeerThatTakesNoAnswers) {
  SimKafka kafka(17);
  kafka.create("t");
  auto client = kafka.connect();
  for (int i = 0; i < 5; ++i) produce(client, "t", make_batch(std::string(100'000, 'x')));
  const auto& handled = kafka.metrics.counter("sluice_kafka_requests_total", "", R"(api="fetch")");
  constexpr int requests = 50;
  client.pause_reading();
  for (int i = 0; i < requests; ++i) {
    client.send(ApiKey::fetch, fetch_version, fetch_request("t", 0));
  }
  kafka.world().run_for(10s);
  EXPECT_LT(handled.value(), 20u) << "an answer is 100 kB or more, and 1 MB may wait";
  client.resume_reading();
  for (int i = 0; i < requests; ++i) {
    ASSERT_EQ(offsets_of(records_of(receive_fetch(client))).at(0), 0) << "answer " << i;
  }
}

}  // namespace
}  // namespace sluice::kafka
