#include "server/queues_api.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "server/stored_api_test.h"

namespace sluice::server {
namespace {

const std::string jobs = "$queue/jobs/a/#";
const std::string jobs_path = "/api/v1/queues/%24queue%2Fjobs%2Fa%2F%23";

class QueuesApiTest : public StoredApiTest {
 protected:
  QueuesApiTest() { queues_.add_to(api_); }

  hub::Hub& hub(std::uint32_t shard = 0) { return *broker_.hub.hubs[shard]; }
  // A queue that nobody is there for, at the end of the log.
  void leave_queue(const std::string& text) {
    hub::TestSubscriber(hub()).subscribe(broker_.hub.world, text, {.qos = 1});
    run();
  }

 private:
  QueuesApi queues_{broker_.hub.world.loop(0), hub()};
};

TEST_F(QueuesApiTest, ListsThemPageByPageWithHowFarTheyAreBehind) {
  leave_queue(jobs);
  leave_queue("$queue/other/b");
  hub::TestSubscriber member(hub(1));
  member.subscribe(broker_.hub.world, "$share/g/a/#", {.qos = 1});
  publish("a/x", 3);
  run();
  EXPECT_EQ(call("GET", "/api/v1/queues", "limit=2").body,
            "{\"queues\":[{\"id\":\"$queue/jobs/a/#\",\"kind\":\"queue\",\"name\":\"jobs\","
            "\"filter\":\"a/#\",\"member_count\":0,\"records\":3,\"lost_to_retention\":0,"
            "\"unacknowledged\":0},"
            "{\"id\":\"$queue/other/b\",\"kind\":\"queue\",\"name\":\"other\","
            "\"filter\":\"b\",\"member_count\":0,\"records\":3,\"lost_to_retention\":0,"
            "\"unacknowledged\":0}],\"next\":\"$queue/other/b\"}\n");
  EXPECT_EQ(call("GET", "/api/v1/queues", "after=%24queue%2Fother%2Fb").body,
            "{\"queues\":[{\"id\":\"$share/g/a/#\",\"kind\":\"share\",\"name\":\"g\","
            "\"filter\":\"a/#\",\"member_count\":1,\"records\":0,\"lost_to_retention\":0,"
            "\"unacknowledged\":3,\"oldest\":{\"stream\":\"mqtt\",\"partition\":0,"
            "\"offset\":0}}]}\n");
  EXPECT_EQ(call("GET", "/api/v1/queues", "filter=x").body, "{\"queues\":[]}\n");
  EXPECT_EQ(call("GET", "/api/v1/queues", "limit=0").status, 400);
}

TEST_F(QueuesApiTest, ShowsMembersSessionsAndWhatRetentionTook) {
  broker_.hub.create("s", {.partitions = 1});
  const std::string text = "$queue/q/s/#";
  const sessions::Uid uid = connect("dev");
  {
    hub::TestSubscriber member(hub());
    member.name = "dev";
    subscribe_shared("dev", uid, member, text);
    publish("s/a", 3);
    run();
    member.settle(0);
    run();
    const auto shown = call("GET", "/api/v1/queues/%24queue%2Fq%2Fs%2F%23");
    EXPECT_NE(shown.body.find("\"member_count\":1,"), std::string::npos) << shown.body;
    EXPECT_NE(shown.body.find("\"members\":[{\"client_id\":\"dev\",\"qos\":1,\"in_flight\":2,"
                              "\"state\":\"ready\"}],\"session_count\":1,"
                              "\"sessions\":[\"dev\"],"),
              std::string::npos)
        << shown.body;
  }
  disconnect("dev", uid);
  run();
  publish("s/a", 4);
  delete_records(partition_of("s"), {5});
  const auto away = call("GET", "/api/v1/queues/%24queue%2Fq%2Fs%2F%23");
  EXPECT_NE(away.body.find("\"members\":[],\"session_count\":1,\"sessions\":[\"dev\"],"),
            std::string::npos)
      << away.body;
  EXPECT_NE(away.body.find("{\"stream\":\"s\",\"partition\":0,\"next\":3,\"end\":7,"
                           "\"records\":2,\"lost_to_retention\":2,\"unacknowledged\":2,"
                           "\"oldest\":1}"),
            std::string::npos)
      << away.body;
}

TEST_F(QueuesApiTest, DeletesOneOnceAndNamesOneThatIsNotThere) {
  leave_queue(jobs);
  EXPECT_EQ(call("DELETE", jobs_path).status, 204);
  for (const char* method : {"DELETE", "GET"}) {
    const auto answer = call(method, jobs_path);
    EXPECT_EQ(answer.status, 404);
    EXPECT_EQ(answer.body,
              "{\"error\":\"there is no queue or shared subscription '$queue/jobs/a/#'\"}\n");
  }
}

TEST_F(QueuesApiTest, RefusesToDeleteWhatHasConsumersAndNamesThem) {
  std::optional<hub::TestSubscriber> one(hub()), two(hub(1));
  one->name = "one";
  for (auto* member : {&one, &two}) (*member)->subscribe(broker_.hub.world, jobs, {.qos = 1});
  two->name = "two";
  const auto refused = call("DELETE", jobs_path);
  EXPECT_EQ(refused.status, 409);
  EXPECT_NE(refused.body.find("$queue/jobs/a/# has consumers: 'one', 'two'; "), std::string::npos)
      << refused.body;
  one.reset();
  two.reset();
  run();
  EXPECT_EQ(call("DELETE", jobs_path).status, 204);
}

TEST_F(QueuesApiTest, RefusesToDeleteWhatAStoredSessionHas) {
  const sessions::Uid uid = connect("dev");
  {
    hub::TestSubscriber member(hub());
    subscribe_shared("dev", uid, member, jobs);
  }
  disconnect("dev", uid);
  run();
  const auto refused = call("DELETE", jobs_path);
  EXPECT_EQ(refused.status, 409);
  EXPECT_NE(refused.body.find("$queue/jobs/a/# is in the stored session of 'dev'; "),
            std::string::npos)
      << refused.body;
  EXPECT_EQ(call("GET", jobs_path).status, 200);
}

}  // namespace
}  // namespace sluice::server
