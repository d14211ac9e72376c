#include "server/sessions_api.h"

#include <gtest/gtest.h>

#include <string>

#include "server/stored_api_test.h"

namespace sluice::server {
namespace {

class SessionsApiTest : public StoredApiTest {
 protected:
  SessionsApiTest() { sessions_.add_to(api_); }

 private:
  SessionsApi sessions_{broker_.hub.world.loop(0), *broker_.hub.hubs[0], *broker_.sessions[0],
                        Random(1)};
};

TEST_F(SessionsApiTest, ListsWhoIsConnectedAndWhoIsAwayPageByPage) {
  connect("a");
  disconnect("b", connect("b"));
  disconnect("c", connect("c"), {}, sessions::never_expires);
  const std::string first = call("GET", "/api/v1/sessions", "limit=2").body;
  EXPECT_TRUE(
      first.starts_with("{\"sessions\":[{\"client_id\":\"a\",\"connected\":true,"
                        "\"expiry_s\":3600,\"has_will\":false},"
                        "{\"client_id\":\"b\",\"connected\":false,\"away_since\":\""))
      << first;
  EXPECT_NE(first.find("\"crashed\":false,\"expires\":\""), std::string::npos) << first;
  EXPECT_TRUE(first.ends_with("\"next\":\"b\"}\n")) << first;
  const std::string second = call("GET", "/api/v1/sessions", "after=b&limit=2").body;
  EXPECT_NE(second.find("\"client_id\":\"c\""), std::string::npos) << second;
  EXPECT_EQ(second.find("expir"), std::string::npos) << "it never does";
  EXPECT_EQ(second.find("next"), std::string::npos) << second;
  EXPECT_EQ(call("GET", "/api/v1/sessions", "filter=x").body, "{\"sessions\":[]}\n");
  EXPECT_EQ(call("GET", "/api/v1/sessions", "limit=0").status, 400);
}

TEST_F(SessionsApiTest, ShowsHowFarASessionIsBehindAndWhatRetentionTookFromIt) {
  broker_.hub.create("s", {.partitions = 1});
  const Partition plain = partition_of("mqtt");
  const Partition named = partition_of("s");
  const sessions::Uid uid = connect("dev");
  put_filter("dev", uid, {.text = "s/#", .qos = 1, .no_local = true, .id = 7});
  disconnect("dev", uid,
             {.next = {{plain, {1}}, {named, {2}}},
              .in_flight = {{1, sessions::SentState::qos1, {named, {0}}},
                            {2, sessions::SentState::qos2, {named, {1}}}},
              .open = {9},
              .lost = {.retention = 11, .lag_limit = 12}});
  publish("a", 4);
  publish("s/a", 10);
  delete_records(named, {5});

  const auto shown = call("GET", "/api/v1/sessions/dev");
  EXPECT_EQ(shown.status, 200);
  EXPECT_NE(shown.body.find("\"in_flight_from\":1,\"in_flight_to\":2,\"subscription_count\":1,"
                            "\"subscriptions\":[{\"filter\":\"s/#\",\"qos\":1,\"no_local\":true,"
                            "\"retain_as_published\":false,\"subscription_id\":7}],"),
            std::string::npos)
      << shown.body;
  EXPECT_NE(shown.body.find("{\"stream\":\"mqtt\",\"partition\":0,\"next\":1,\"end\":4,"
                            "\"records\":3,\"lost_to_retention\":0}"),
            std::string::npos)
      << shown.body;
  EXPECT_NE(shown.body.find("{\"stream\":\"s\",\"partition\":0,\"next\":2,\"end\":10,"
                            "\"records\":5,\"lost_to_retention\":3}"),
            std::string::npos)
      << shown.body;
  EXPECT_NE(shown.body.find("\"lost\":{\"retention\":11,\"lag_limit\":12}"), std::string::npos)
      << shown.body;
}

TEST_F(SessionsApiTest, ShowsThePlaceOfAReplayApart) {
  broker_.hub.create("s", {.partitions = 1});
  const Partition named = partition_of("s");
  const sessions::Uid uid = connect("dev");
  put_filter("dev", uid, {.text = "$stream/s", .qos = 1, .since = {{named, {0}}}});
  put_filter("dev", uid, {.text = "$stream/s/a", .qos = 1, .since = {{named, {6}}}});
  disconnect("dev", uid, {.replays = {{"$stream/s", {{named, {2}}}}}});
  publish("s/a", 10);
  delete_records(named, {3});

  const auto shown = call("GET", "/api/v1/sessions/dev");
  EXPECT_NE(
      shown.body.find("\"positions\":[{\"stream\":\"s\",\"partition\":0,\"next\":2,\"end\":10,"
                      "\"records\":7,\"lost_to_retention\":1,\"replay\":\"$stream/s\"},"
                      "{\"stream\":\"s\",\"partition\":0,\"next\":6,\"end\":10,"
                      "\"records\":4,\"lost_to_retention\":0,\"replay\":\"$stream/s/a\"}]"),
      std::string::npos)
      << shown.body;
}

TEST_F(SessionsApiTest, ShowsASessionWhoseStreamIsGoneAndOneThatCameLater) {
  broker_.hub.create("gone", {});
  const sessions::Uid uid = connect("dev");
  put_filter("dev", uid, {.text = "gone/#", .qos = 1});
  put_filter("dev", uid, {.text = "later/#", .qos = 1});
  disconnect("dev", uid, {.next = {{partition_of("mqtt"), {0}}, {partition_of("gone"), {0}}}});
  remove_stream("gone");
  broker_.hub.create("later", {.partitions = 40});
  publish("later/a", 2);
  const auto shown = call("GET", "/api/v1/sessions/dev");
  EXPECT_EQ(shown.status, 200);
  EXPECT_EQ(shown.body.find("\"stream\":\"gone\""), std::string::npos) << shown.body;
  EXPECT_NE(shown.body.find("{\"stream\":\"later\",\"partition\":39,\"next\":0,"),
            std::string::npos)
      << shown.body;
  EXPECT_NE(shown.body.find("\"next\":0,\"end\":2,\"records\":2,"), std::string::npos)
      << shown.body;
}

TEST_F(SessionsApiTest, ShowsTheGroupsThatASessionHolds) {
  hub::TestSubscriber member(*broker_.hub.hubs[0]);
  subscribe_shared("dev", connect("dev"), member, "$queue/jobs/a/#");
  publish("a/x", 2);
  run();
  const auto shown = call("GET", "/api/v1/sessions/dev");
  EXPECT_NE(shown.body.find("\"groups\":[{\"id\":\"$queue/jobs/a/#\",\"kind\":\"queue\","
                            "\"name\":\"jobs\",\"filter\":\"a/#\",\"member_count\":1,"
                            "\"records\":0,\"lost_to_retention\":0,\"unacknowledged\":2,"
                            "\"oldest\":{\"stream\":\"mqtt\",\"partition\":0,\"offset\":0}}]"),
            std::string::npos)
      << shown.body;
}

TEST_F(SessionsApiTest, DeletesASessionOnceAndNamesOneThatIsNotThere) {
  disconnect("a/b", connect("a/b"));
  EXPECT_EQ(call("DELETE", "/api/v1/sessions/a%2Fb").status, 204);
  for (const char* method : {"DELETE", "GET"}) {
    const auto answer = call(method, "/api/v1/sessions/a%2Fb");
    EXPECT_EQ(answer.status, 404);
    EXPECT_EQ(answer.body, "{\"error\":\"no session of client 'a/b' is stored\"}\n");
  }
}

TEST_F(SessionsApiTest, AConflictIsSaidWhenTheClientIsBackEachTime) {
  connect("dev");  // and whoever claims the id does not change that
  const auto refused = call("DELETE", "/api/v1/sessions/dev");
  EXPECT_EQ(refused.status, 409);
  EXPECT_NE(refused.body.find("client 'dev' was back"), std::string::npos) << refused.body;
}

}  // namespace
}  // namespace sluice::server
