// Logins and denials as a client sees them.

#include <gtest/gtest.h>

#include <algorithm>

#include "access/scram_client_test.h"
#include "access/users.h"
#include "kafka/sim_kafka_test.h"

namespace sluice::kafka {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view right = "\0ann\0secret"sv;
constexpr std::string_view wrong = "\0ann\0wrong"sv;

class KafkaSasl : public testing::Test {
 protected:
  KafkaSasl() {
    kafka.create("open");
    kafka.create("secret");
    access::UserTable table;
    table.put(access::test_user("ann", "secret", {"allow all"}));
    table.put(access::test_user("bob", "other", {"allow read open", "allow write open"}));
    users.replace(std::make_shared<const access::UserTable>(std::move(table)));
    kafka.use(users);
  }
  ~KafkaSasl() override { kafka.server.reset(); }

  static SaslHandshakeResponse handshake(SimKafkaClient& client, std::string_view mechanism,
                                         std::int16_t version = 1) {
    return client.call<SaslHandshakeResponse>(ApiKey::sasl_handshake, version,
                                              SaslHandshakeRequest{mechanism});
  }
  static SaslAuthenticateResponse token(SimKafkaClient& client, std::string_view bytes,
                                        std::int16_t version = 2) {
    return client.call<SaslAuthenticateResponse>(
        ApiKey::sasl_authenticate, version, SaslAuthenticateRequest{.auth_bytes = as_bytes(bytes)});
  }
  SimKafkaClient logged_in(std::string_view plain_token) {
    auto client = kafka.connect();
    EXPECT_EQ(handshake(client, "PLAIN").error_code, ErrorCode::none);
    EXPECT_EQ(token(client, plain_token).error_code, ErrorCode::none);
    return client;
  }
  static std::vector<std::string> topics(SimKafkaClient& client) {
    const auto metadata = client.call<MetadataResponse>(ApiKey::metadata, 12,
                                                        MetadataRequest{.topics = std::nullopt});
    std::vector<std::string> names;
    for (const auto& topic : metadata.topics) names.push_back(topic.name.value_or(""));
    return names;
  }

  SimKafka kafka{1};
  access::Users users{kafka.world().loop(0), kafka.metrics, nullptr, {}};
};

TEST_F(KafkaSasl, BeforeTheLoginOnlyTheLoginIsTaken) {
  auto client = kafka.connect();
  const auto versions =
      client.call<ApiVersionsResponse>(ApiKey::api_versions, 0, ApiVersionsRequest{});
  EXPECT_EQ(versions.error_code, ErrorCode::none);
  client.send(ApiKey::metadata, 12, MetadataRequest{});
  EXPECT_TRUE(client.closed());
}

TEST_F(KafkaSasl, AStrangersRequestMayNotBeLarge) {
  auto client = kafka.connect();
  Buffer size(4);
  store_be<std::int32_t>(size.data(), 100'000);
  client.send_bytes(size);
  EXPECT_TRUE(client.closed());

  auto known = logged_in(right);
  known.send_bytes(size);
  EXPECT_FALSE(known.closed());
}

TEST_F(KafkaSasl, PlainLetsTheRightPasswordIn) {
  for (std::int16_t version = 0; version <= 2; ++version) {
    auto client = kafka.connect();
    const auto chosen = handshake(client, "PLAIN");
    EXPECT_EQ(chosen.error_code, ErrorCode::none);
    const auto answer = token(client, right, version);
    EXPECT_EQ(answer.error_code, ErrorCode::none) << answer.error_message.value_or("");
    EXPECT_EQ(answer.session_lifetime_ms, 0);
    EXPECT_EQ(topics(client), (std::vector<std::string>{"open", "secret"}));
  }
}

TEST_F(KafkaSasl, AWrongPasswordIsToldLateAndThenTheConnectionEnds) {
  auto client = kafka.connect();
  handshake(client, "PLAIN");
  const auto before = kafka.world().now();
  const auto answer = token(client, wrong);
  EXPECT_EQ(answer.error_code, ErrorCode::sasl_authentication_failed);
  EXPECT_EQ(answer.error_message, "authentication failed: wrong user or password");
  EXPECT_GE(kafka.world().now() - before, Authentication::failure_delay);
  EXPECT_TRUE(client.closed());
}

TEST_F(KafkaSasl, ScramWorksInRequestsAndInBareFrames) {
  for (const auto digest : {access::Digest::sha256, access::Digest::sha512}) {
    auto client = kafka.connect();
    handshake(client, access::mechanism_name(digest));
    const auto over_requests = [&](const std::string& bytes) {
      return std::string(as_text(token(client, bytes).auth_bytes));
    };
    EXPECT_TRUE(access::scram_login(digest, "ann", "secret", over_requests).starts_with("v="));
    EXPECT_EQ(topics(client).size(), 2u);

    auto bare = kafka.connect();
    handshake(bare, access::mechanism_name(digest), 0);
    const auto over_frames = [&](const std::string& bytes) { return bare.exchange(bytes); };
    EXPECT_TRUE(access::scram_login(digest, "ann", "secret", over_frames).starts_with("v="));
    EXPECT_EQ(topics(bare).size(), 2u);
  }
}

TEST_F(KafkaSasl, ABareTokenThatIsWrongEndsTheConnection) {
  auto client = kafka.connect();
  handshake(client, "PLAIN", 0);
  Buffer frame;
  Writer writer(frame);
  writer.write<std::int32_t>(static_cast<std::int32_t>(wrong.size()));
  writer.write_bytes(as_bytes(wrong));
  client.send_bytes(frame);
  EXPECT_TRUE(client.closed());
}

TEST_F(KafkaSasl, AnUnknownMechanismIsAnsweredWithOurs) {
  auto client = kafka.connect();
  const auto answer = handshake(client, "GSSAPI");
  EXPECT_EQ(answer.error_code, ErrorCode::unsupported_sasl_mechanism);
  EXPECT_EQ(answer.mechanisms,
            (std::vector<std::string>{"SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"}));
}

TEST_F(KafkaSasl, ATokenWithoutAHandshakeIsAnIllegalState) {
  auto client = kafka.connect();
  EXPECT_EQ(token(client, right).error_code, ErrorCode::illegal_sasl_state);
  EXPECT_TRUE(client.closed());
}

TEST_F(KafkaSasl, AConnectionMayLogInAgainAsTheSameUser) {
  auto client = logged_in(right);
  handshake(client, "PLAIN");
  EXPECT_EQ(token(client, right).error_code, ErrorCode::none);
  EXPECT_EQ(topics(client).size(), 2u);
  handshake(client, "PLAIN");
  EXPECT_EQ(token(client, "\0bob\0other"sv).error_code, ErrorCode::sasl_authentication_failed);
  EXPECT_TRUE(client.closed());
}

TEST_F(KafkaSasl, AClientThatGoesDuringItsLoginDoesNoHarm) {
  auto client = kafka.connect();
  handshake(client, "PLAIN");
  client.send(ApiKey::sasl_authenticate, 2, SaslAuthenticateRequest{.auth_bytes = as_bytes(wrong)});
  client.close();
  kafka.world().run_for(std::chrono::seconds(1));
  EXPECT_EQ(kafka.server->connections(), 0u);
}

// Bob may read and write "open" alone.
TEST_F(KafkaSasl, WhatIsNotAllowedIsRefusedPerTopicAndHidden) {
  auto bob = logged_in("\0bob\0other"sv);
  EXPECT_EQ(topics(bob), std::vector<std::string>{"open"});
  const auto named = bob.call<MetadataResponse>(ApiKey::metadata, 12,
                                                MetadataRequest{.topics = {{{.name = "secret"}}}});
  EXPECT_EQ(named.topics.at(0).error_code, ErrorCode::topic_authorization_failed);

  const Buffer batch = make_batch("x");
  const auto produce = [&](std::string_view topic) {
    return bob.call<ProduceResponse>(ApiKey::produce, 9, produce_request(topic, batch))
        .topics.at(0)
        .partitions.at(0)
        .error_code;
  };
  EXPECT_EQ(produce("open"), ErrorCode::none);
  EXPECT_EQ(produce("secret"), ErrorCode::topic_authorization_failed);

  const auto fetch = [&](std::string_view topic) {
    return bob.call<FetchResponse>(ApiKey::fetch, 12, fetch_request(topic, 0))
        .topics.at(0)
        .partitions.at(0)
        .error_code;
  };
  EXPECT_EQ(fetch("open"), ErrorCode::none);
  EXPECT_EQ(fetch("secret"), ErrorCode::topic_authorization_failed);

  const auto offsets = bob.call<ListOffsetsResponse>(
      ApiKey::list_offsets, 7,
      ListOffsetsRequest{.topics = {{.name = "secret", .partitions = {{.index = 0}}}}});
  EXPECT_EQ(offsets.topics.at(0).partitions.at(0).error_code,
            ErrorCode::topic_authorization_failed);
  const auto created = bob.call<CreateTopicsResponse>(
      ApiKey::create_topics, 7, CreateTopicsRequest{.topics = {{.name = "new"}}});
  EXPECT_EQ(created.topics.at(0).error_code, ErrorCode::topic_authorization_failed);
  for (const std::string_view name : {"open", "secret"}) {
    const auto deleted = bob.call<DeleteTopicsResponse>(ApiKey::delete_topics, 5,
                                                        DeleteTopicsRequest{.topic_names = {name}});
    EXPECT_EQ(deleted.topics.at(0).error_code, ErrorCode::topic_authorization_failed) << name;
  }
  const auto hidden = bob.call<DeleteTopicsResponse>(
      ApiKey::delete_topics, 5, DeleteTopicsRequest{.topic_names = {"missing"}});
  EXPECT_EQ(hidden.topics.at(0).error_code, ErrorCode::topic_authorization_failed)
      << "whether there is one is not for him to know";
  const auto configs = bob.call<DescribeConfigsResponse>(
      ApiKey::describe_configs, 4,
      DescribeConfigsRequest{
          .resources = {{.type = 2, .name = "secret"}, {.type = 4, .name = "0"}}});
  EXPECT_EQ(configs.results.at(0).error_code, ErrorCode::topic_authorization_failed);
  EXPECT_EQ(configs.results.at(1).error_code, ErrorCode::cluster_authorization_failed);
}

TEST_F(KafkaSasl, AnonymousIsTakenWhenAllowed) {
  access::UserTable table;
  table.put(access::test_user("anonymous", "", {"allow read open"}));
  access::Users lenient(kafka.world().loop(0), kafka.metrics,
                        std::make_shared<const access::UserTable>(std::move(table)),
                        {.allow_anonymous = true});
  kafka.use(lenient);
  auto client = kafka.connect();
  EXPECT_EQ(topics(client), std::vector<std::string>{"open"});
  client.close();
  kafka.use(users);
}

// The simulated helper takes up to a millisecond for each: while a hundred wait, others are served.
TEST_F(KafkaSasl, TrafficGoesOnDuringAStormOfLogins) {
  auto ann = logged_in(right);
  std::vector<SimKafkaClient> storm;
  for (int i = 0; i < 100; ++i) {
    storm.push_back(kafka.connect());
    handshake(storm.back(), "PLAIN");
  }
  for (auto& client : storm)
    client.send(ApiKey::sasl_authenticate, 2,
                SaslAuthenticateRequest{.auth_bytes = as_bytes(wrong)});
  EXPECT_EQ(topics(ann).size(), 2u);
  const auto answered = std::ranges::count_if(storm, &SimKafkaClient::has_response);
  EXPECT_LT(answered, 10) << "the storm was over before others were served";
  for (auto& client : storm) EXPECT_TRUE(client.closed());
}

}  // namespace
}  // namespace sluice::kafka
