#include "kafka_stream/cursor.h"

#include <gtest/gtest.h>
#include <librdkafka/rdkafka_mock.h>

#include <future>
#include <thread>

#include "kafka_stream/producer.h"
#include "kafka_stream/reader_pool.h"
#include "stream/contract_test.h"

// On a broker within librdkafka, which fails requests as it is told.

namespace sluice::kafka_stream {
namespace {

const Place place{"sensors", 0};
constexpr std::int32_t broker = 1;
constexpr std::int16_t fetch = 1;  // Kafka's number of the request
constexpr auto patience = std::chrono::minutes(1);

class CursorTest : public testing::Test {
 protected:
  CursorTest() {
    Options options;
    options.brokers = "127.0.0.1:1";  // the one within takes its place
    options.properties = {{"test.mock.num.brokers", "1"}};
    producer_ = Producer::make(options, [] {}).value();
    cluster_ = rd_kafka_handle_mock_cluster(producer_->instance()->client.get());
    rd_kafka_mock_topic_create(cluster_, place.topic.c_str(), 1, 1);
    reading_.brokers = rd_kafka_mock_cluster_bootstraps(cluster_);
    consumer_ = make_consumer(reading_, {{"enable.partition.eof", "true"},
                                         {"auto.offset.reset", "error"},
                                         {"queued.max.messages.kbytes", "1024"},
                                         {"fetch.wait.max.ms", "10"},
                                         {"fetch.error.backoff.ms", "10"}})
                    .value();
  }

  // In a batch of its own: an answer to a Fetch holds one.
  void produce(const std::string& value) {
    const auto stored = std::make_shared<std::promise<bool>>();
    producer_->produce(
        place.topic, place.partition, stream::batch({value}),
        [stored](const Result<Stored>& result) { stored->set_value(result.has_value()); });
    ASSERT_TRUE(stored->get_future().get());
  }
  // What the next requests are to be answered with, one after the other.
  void answer_fetches(const std::vector<rd_kafka_resp_err_t>& answers) {
    for (const auto answer : answers)
      ASSERT_EQ(rd_kafka_mock_broker_push_request_error_rtts(cluster_, broker, fetch, 1, answer, 0),
                RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  // Waits until `unused` of these are left. The consumer has taken all used ones but the last: it
  // asks again only after that.
  void wait_for_fetches(std::size_t unused = 0) {
    const auto end = Cursor::Clock::now() + patience;
    for (std::size_t left = unused + 1; left > unused; std::this_thread::yield()) {
      ASSERT_LT(Cursor::Clock::now(), end);
      rd_kafka_mock_broker_error_stack_cnt(cluster_, broker, fetch, &left);
    }
  }
  static std::vector<std::string> values_of(const stream::ReadAnswer& answer) {
    std::vector<std::string> all;
    for (const auto& block : answer.blocks)
      for (auto& value : stream::values_of(*block)) all.push_back(std::move(value));
    return all;
  }

  std::unique_ptr<Producer> producer_;
  rd_kafka_mock_cluster_t* cluster_ = nullptr;  // the producer's
  Options reading_;
  Client consumer_;
};

using Strings = std::vector<std::string>;

TEST_F(CursorTest, ItIsOverAtTheEnd) {
  produce("a");
  produce("b");
  const auto cursor = Cursor::open(consumer_.get(), place, {}).value();
  Strings values;
  while (!cursor->is_over()) {
    const auto answer = cursor->read(1);
    ASSERT_TRUE(answer) << answer.error().text;
    for (auto& value : values_of(*answer)) values.push_back(std::move(value));
  }
  EXPECT_EQ(values, (Strings{"a", "b"}));
  EXPECT_EQ(cursor->at(), Offset{2});
}

// A cursor that stands at the end has been told so; more came since.
TEST_F(CursorTest, AnEndThatWasMetBeforeTheReadIsNoEnd) {
  produce("a");
  answer_fetches(std::vector(10, RD_KAFKA_RESP_ERR_NO_ERROR));
  const auto cursor = Cursor::open(consumer_.get(), place, {}).value();
  const auto before = cursor->read(1);
  ASSERT_TRUE(before) << before.error().text;
  EXPECT_EQ(values_of(*before), Strings{"a"});
  wait_for_fetches(10 - 3);  // the second has met the end
  produce("b");
  const auto after = cursor->read(1);
  ASSERT_TRUE(after) << after.error().text;
  EXPECT_EQ(values_of(*after), Strings{"b"});
}

TEST_F(CursorTest, AnErrorBehindRecordsEndsItAndTheNextOneReadsOn) {
  produce("a");
  produce("b");
  answer_fetches(
      {RD_KAFKA_RESP_ERR_NO_ERROR, RD_KAFKA_RESP_ERR_UNKNOWN, RD_KAFKA_RESP_ERR_UNKNOWN});
  auto cursor = Cursor::open(consumer_.get(), place, {}).value();
  wait_for_fetches();
  const auto before = cursor->read(1 << 20);
  ASSERT_TRUE(before) << before.error().text;
  EXPECT_EQ(values_of(*before), Strings{"a"});
  EXPECT_EQ(before->next, Offset{1});
  EXPECT_TRUE(cursor->is_over()) << "librdkafka says an error once";

  cursor.reset();
  cursor = Cursor::open(consumer_.get(), place, before->next).value();
  const auto after = cursor->read(1 << 20);
  ASSERT_TRUE(after) << after.error().text;
  EXPECT_EQ(values_of(*after), Strings{"b"});
}

// librdkafka ceases to fetch at each MiB then, and would look again a second later.
TEST_F(CursorTest, ItDoesNotWaitWhereMoreCameThanIsFetchedAhead) {
  constexpr int batches = 12;
  for (int i = 0; i < batches; ++i) produce(std::string(400 << 10, 'x'));
  answer_fetches(std::vector(batches, RD_KAFKA_RESP_ERR_NO_ERROR));
  const auto cursor = Cursor::open(consumer_.get(), place, {}).value();
  wait_for_fetches(batches - 3);  // 1,200 KiB
  const auto began = Cursor::Clock::now();
  while (cursor->at() < Offset{batches}) ASSERT_TRUE(cursor->read(1));
  EXPECT_LT(Cursor::Clock::now() - began, std::chrono::seconds(2));
}

TEST_F(CursorTest, AnErrorBeforeAnyRecordIsTheAnswer) {
  produce("a");
  answer_fetches({RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED});
  const auto cursor = Cursor::open(consumer_.get(), place, {}).value();
  const auto answer = cursor->read(1 << 20);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::unauthorized);
  EXPECT_TRUE(cursor->is_over());
}

TEST_F(CursorTest, AReadOfThePoolThatFailsIsSaid) {
  produce("a");
  answer_fetches({RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED});
  const auto pool = ReaderPool::make(reading_).value();
  const auto answered = std::make_shared<std::promise<Result<stream::ReadAnswer>>>();
  testing::internal::CaptureStderr();
  pool->read(place, {}, 1 << 20, [answered](Result<stream::ReadAnswer> answer) {
    answered->set_value(std::move(answer));
  });
  const auto answer = answered->get_future().get();
  const std::string said = testing::internal::GetCapturedStderr();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::unauthorized);
  EXPECT_NE(said.find("reading a partition of the cluster failed"), std::string::npos) << said;
  EXPECT_NE(said.find("sensors [0]: "), std::string::npos) << said;
}

TEST_F(CursorTest, OneIsOpenedWhereAnotherWasJustClosed) {
  for (const auto* value : {"a", "b", "c"}) produce(value);
  for (int round = 0; round < 50; ++round) {
    const Offset from{round % 3};
    const auto cursor = Cursor::open(consumer_.get(), place, from).value();
    const auto answer = cursor->read(1);
    ASSERT_TRUE(answer) << "round " << round << ": " << answer.error().text;
    ASSERT_FALSE(answer->blocks.empty());
    EXPECT_EQ(answer->blocks.front()->from(), from);
  }
}

}  // namespace
}  // namespace sluice::kafka_stream
