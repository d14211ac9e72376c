#include "kafka_stream/kafka_backend.h"

#include <fmt/format.h>

#include "kafka_stream/admin.h"
#include "kafka_stream/names.h"
#include "kafka_stream/on_cluster/kafka_test_backend_test.h"
#include "log/record_batch.h"

namespace sluice::kafka_stream {
namespace {

using stream::StreamConfig;
using stream::StreamInfo;

// Somebody else who uses the cluster.
class Stranger {
 public:
  Stranger() : client_(make_producer(KafkaTestBackend::options(), {}).value()) {}
  rd_kafka_t* client() { return client_.get(); }

 private:
  Client client_;
};

const StreamInfo* find(KafkaTestBackend& backend, const std::string& name) {
  return backend.stream({}).catalogue().find(name);
}

Result<StreamInfo> alter(KafkaTestBackend& backend, const std::string& name, StreamConfig config) {
  return stream::await<StreamInfo>(backend, {}, [=](stream::Stream& stream, Done<StreamInfo> done) {
    stream.alter(name, config, std::move(done));
  });
}

TEST(KafkaBackend, ARestartFindsStreamsWithAllTheirSettings) {
  KafkaTestBackend backend(2);
  const StreamConfig config{.partitions = 2,
                            .retention_ms = 7'000'000'000'000,  // the records are of 1970
                            .retention_bytes = 1000,
                            .segment_bytes = 1 << 20,
                            .compact = true,
                            .wildcard = true};
  const auto made = stream::create(backend, "kept", config);
  ASSERT_TRUE(made) << made.error().text;
  EXPECT_EQ(made->config, config);
  ASSERT_TRUE(stream::append(backend, {}, {made->id, 1}, {"a", "b"}));
  backend.restart();
  ASSERT_TRUE(backend.run_until([&] { return find(backend, "kept") != nullptr; }));
  EXPECT_EQ(find(backend, "kept")->id, made->id);
  EXPECT_EQ(find(backend, "kept")->config, config);
  EXPECT_EQ(stream::read_values(backend, {}, {made->id, 1}), (std::vector<std::string>{"a", "b"}));
}

TEST(KafkaBackend, AStreamMadeAgainIsAnotherOneAfterARestartToo) {
  KafkaTestBackend backend(1);
  const auto first = stream::create(backend, "sensors", {.wildcard = true});
  ASSERT_TRUE(stream::remove(backend, "sensors"));
  const auto second = stream::create(backend, "sensors");
  ASSERT_TRUE(first && second);
  backend.restart();
  ASSERT_TRUE(backend.run_until([&] { return find(backend, "sensors") != nullptr; }));
  EXPECT_EQ(find(backend, "sensors")->id, second->id);
  EXPECT_NE(second->id, first->id);
  EXPECT_FALSE(find(backend, "sensors")->config.wildcard);
}

TEST(KafkaBackend, RecordsComeBackAsTheyWere) {
  KafkaTestBackend backend(1);
  const auto made = stream::create(backend, "sensors");
  const Partition partition{made->id, 0};
  Buffer headers;
  log::append_header(headers, "unit", as_bytes("K"));
  log::append_header(headers, "empty", {});
  log::BatchBuilder builder;
  builder.add(5000, {.key = {}, .value = as_bytes("no key"), .headers = {}, .null_key = true});
  builder.add(5000, {.key = as_bytes("gone"), .value = {}, .headers = {}, .null_value = true});
  builder.add(5000,
              {.key = as_bytes(""), .value = as_bytes(""), .headers = headers, .headers_count = 2});
  const auto appended = stream::await<stream::Appended>(
      backend, {}, [&](stream::Stream& stream, Done<stream::Appended> done) {
        stream.append(partition, builder.finish(), std::move(done));
      });
  ASSERT_TRUE(appended) << appended.error().text;

  const auto answer = stream::read(backend, {}, partition, appended->first);
  ASSERT_TRUE(answer) << answer.error().text;
  ASSERT_EQ(answer->blocks.size(), 1u);
  const log::Block& block = *answer->blocks.front();
  ASSERT_EQ(block.records().size(), 3u);
  const auto& [no_key, no_value, empty] =
      std::tie(block.records()[0], block.records()[1], block.records()[2]);
  EXPECT_EQ(no_key.key_at, log::Record::none);
  EXPECT_EQ(as_text(block.value(no_key)), "no key");
  EXPECT_EQ(no_value.value_at, log::Record::none);
  EXPECT_EQ(as_text(block.key(no_value)), "gone");
  EXPECT_NE(empty.key_at, log::Record::none);
  EXPECT_NE(empty.value_at, log::Record::none);
  EXPECT_EQ(block.timestamp(empty), 5000);
  std::vector<std::pair<std::string, std::string>> found;
  log::for_each_header(block, empty, [&](const log::RecordHeader& header) {
    found.emplace_back(header.name, as_text(header.value));
  });
  EXPECT_EQ(found,
            (std::vector<std::pair<std::string, std::string>>{{"unit", "K"}, {"empty", ""}}));
}

TEST(KafkaBackend, WhatIsCompressedOnItsWayIsReadAsItWas) {
  auto options = KafkaTestBackend::options();
  options.properties = {{"compression.codec", "lz4"}};
  KafkaTestBackend backend(1, options);
  const auto made = stream::create(backend, "sensors");
  const std::vector<std::string> values(100, std::string(1000, 'x'));
  ASSERT_TRUE(stream::append(backend, {}, {made->id, 0}, values));
  EXPECT_EQ(stream::read_values(backend, {}, {made->id, 0}), values);
}

class Seen final : public log::CommitSink {
 public:
  void on_commit(Partition, const std::shared_ptr<log::Block>& block) override {
    for (auto& value : stream::values_of(*block)) values.push_back(std::move(value));
  }
  std::vector<std::string> values;
};

TEST(KafkaBackend, AFoldHasSeenWhatIsAcknowledgedToAnyShard) {
  KafkaTestBackend backend(3);
  const auto made = stream::create(backend, "sensors");
  const Partition partition{made->id, 0};
  const ShardId home = backend.stream({}).home(partition);
  Seen seen;
  const auto from =
      stream::await<Offset>(backend, home, [&](stream::Stream& stream, Done<Offset> done) {
        stream.fold(partition, seen, std::move(done));
      });
  ASSERT_TRUE(from);
  EXPECT_EQ(*from, Offset{0});
  int acknowledged = 0;
  for (std::uint32_t shard = 0; shard < 3; ++shard)
    backend.post({shard}, [&, shard] {
      for (int i = 0; i < 20; ++i) {
        const auto value = fmt::format("{}/{}", shard, i);
        backend.stream({shard}).append(
            partition, stream::batch({value}), [&, value](const Result<stream::Appended>& result) {
              ASSERT_TRUE(result) << result.error().text;
              EXPECT_NE(std::ranges::find(seen.values, value), seen.values.end()) << value;
              ++acknowledged;
            });
      }
    });
  EXPECT_TRUE(backend.run_until([&] { return acknowledged == 60; }));
}

TEST(KafkaBackend, TopicsOfOthersAreStreamsAsSoonAsTheyAreSeen) {
  KafkaTestBackend backend(2);
  Stranger stranger;
  ASSERT_TRUE(
      create_topic(stranger.client(),
                   {.name = "theirs", .partitions = 2, .config = {{"cleanup.policy", "compact"}}}));
  ASSERT_TRUE(backend.run_until([&] { return find(backend, "theirs") != nullptr; }));
  const StreamInfo theirs = *find(backend, "theirs");
  EXPECT_EQ(theirs.config.partitions, 2u);
  EXPECT_TRUE(theirs.config.compact);
  EXPECT_FALSE(theirs.config.expire);
  EXPECT_EQ(theirs.config.segment_bytes, -1) << "the cluster's default";
  EXPECT_FALSE(theirs.config.wildcard);
  EXPECT_TRUE(stream::append(backend, {1}, {theirs.id, 1}, {"a"}));

  ASSERT_TRUE(add_partitions(stranger.client(), "theirs", 3));
  ASSERT_TRUE(backend.run_until([&] { return find(backend, "theirs")->config.partitions == 3; }));
  EXPECT_EQ(find(backend, "theirs")->id, theirs.id);

  ASSERT_TRUE(delete_topic(stranger.client(), "theirs"));
  ASSERT_TRUE(backend.run_until([&] { return find(backend, "theirs") == nullptr; }));
}

TEST(KafkaBackend, TopicsThatBeginWithTwoUnderlinesAreNoStreams) {
  KafkaTestBackend backend(1);
  for (const auto& [name, stream] : backend.stream({}).catalogue().all())
    EXPECT_FALSE(name.starts_with("__")) << name;
  EXPECT_EQ(stream::remove(backend, std::string(notes_topic)).error().code, Errc::not_found);
}

TEST(KafkaBackend, AlteringAStreamLeavesSettingsThatOthersHaveMade) {
  KafkaTestBackend backend(1);
  const auto made = stream::create(backend, "sensors", {.partitions = 1, .retention_ms = 1000});
  ASSERT_TRUE(made);
  Stranger stranger;
  ASSERT_TRUE(alter_topic_config(stranger.client(), "sensors", {{"flush.messages", "5"}}));
  ASSERT_TRUE(backend.run_until([&] {
    const auto described = describe_topics(stranger.client(), {"sensors"});
    return described && described->at("sensors").own.contains("flush.messages");
  })) << "a broker tells of new settings a moment after it has taken them";
  StreamConfig config = made->config;
  config.retention_ms = 2000;
  config.partitions = 2;
  const auto altered = alter(backend, "sensors", config);
  ASSERT_TRUE(altered) << altered.error().text;
  EXPECT_EQ(find(backend, "sensors")->config, config);
  const auto described = describe_topics(stranger.client(), {"sensors"});
  ASSERT_TRUE(described);
  EXPECT_EQ(described->at("sensors").own.at("retention.ms"), "2000");
  EXPECT_EQ(described->at("sensors").own.at("flush.messages"), "5");
  EXPECT_TRUE(stream::append(backend, {}, {made->id, 1}, {"a"}));
}

TEST(KafkaBackend, ATailGoesOnWhenRecordsBelowItAreDeleted) {
  KafkaTestBackend backend(1);
  const auto made = stream::create(backend, "sensors");
  ASSERT_TRUE(made) << made.error().text;
  const Partition partition{made->id, 0};
  stream::Follower follower(backend, {}, partition);
  for (const auto& value : {"a", "b", "c"})
    ASSERT_TRUE(stream::append(backend, {}, partition, {value}));
  ASSERT_TRUE(backend.run_until([&] { return follower.values.size() == 3; }));
  const auto start =
      stream::await<Offset>(backend, {}, [&](stream::Stream& stream, Done<Offset> done) {
        stream.delete_records(partition, Offset{2}, std::move(done));
      });
  ASSERT_TRUE(start) << start.error().text;
  EXPECT_EQ(*start, Offset{2});
  EXPECT_EQ(stream::bounds(backend, {}, partition)->start, Offset{2});
  EXPECT_EQ(stream::read(backend, {}, partition, {}).error().code, Errc::out_of_range);
  ASSERT_TRUE(stream::append(backend, {}, partition, {"d"}));
  EXPECT_TRUE(backend.run_until([&] { return follower.values.size() == 4; }));
}

TEST(KafkaBackend, WithoutAClusterItSaysSoAndEndsAtOnce) {
  const auto loop = runtime::RealLoop::create();
  Metrics metrics;
  Options options;
  options.brokers = "127.0.0.1:1";
  const auto backend = KafkaBackend::open(options, {{loop.get(), &metrics}});
  ASSERT_TRUE(backend);
  EXPECT_FALSE((*backend)->health({}).writable);
  EXPECT_TRUE((*backend)->health({}).reason.starts_with("kafka_cluster: "));
}

TEST(KafkaBackend, APropertyThatTheLibraryRefusesIsNamed) {
  const auto loop = runtime::RealLoop::create();
  Metrics metrics;
  auto options = KafkaTestBackend::options();
  options.properties = {{"security.protocoll", "ssl"}};
  const auto backend = KafkaBackend::open(options, {{loop.get(), &metrics}});
  ASSERT_FALSE(backend);
  EXPECT_NE(backend.error().text.find("security.protocoll"), std::string::npos);
}

}  // namespace
}  // namespace sluice::kafka_stream
