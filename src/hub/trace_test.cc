// What the hub tells traces: of each message where it is, who matches it, and who does not get it.

#include <gtest/gtest.h>

#include <optional>

#include "hub/clients_test.h"
#include "hub/topic_trace.h"
#include "hub/trace_log_test.h"

namespace sluice::hub {
namespace {

using By = trace::Query::By;

std::string event(const std::string& name) { return "\"event\":\"" + name + '"'; }
std::string offset(int number) { return "\"offset\":" + std::to_string(number) + ','; }
std::string last_offset(int number) { return "\"offset\":" + std::to_string(number) + '}'; }
std::string reason(const std::string& word) { return "\"reason\":\"" + word + '"'; }

TEST(HubTrace, ATopicShowsWhereItsMessagesAreStored) {
  SimHub sim(1);
  TraceLog log(sim, {By::topic, "a/#"});
  TestPublisher publisher(sim, 7);
  ASSERT_TRUE(publisher.publish("b", "other"));
  ASSERT_TRUE(publisher.publish("a/x", "1", 0));
  EXPECT_NE(log.wait({event("stored"), R"("topic":"a/x")",
                      R"("stream":"mqtt","partition":0,"offset":1})"}),
            "")
      << log.all();
  EXPECT_EQ(log.count({R"("topic":"b")"}), 0);
}

TEST(HubTrace, APublisherThatIsTracedIsNamed) {
  SimHub sim(1);
  TraceLog log(sim, {By::client, "dev"});
  sim.hubs[0]->tracer().note_publisher(7, {.client = "dev"});
  TestPublisher publisher(sim, 7), other(sim, 8);
  ASSERT_TRUE(other.publish("a", "1"));
  ASSERT_TRUE(publisher.publish("a", "2"));
  EXPECT_NE(log.wait({event("stored"), R"("client":"dev")", last_offset(1)}), "") << log.all();
  EXPECT_EQ(log.count({event("stored")}), 1);
}

TEST(HubTrace, WhatTheLogDoesNotTakeIsToldWithTheReason) {
  SimHub sim(1);
  TraceLog log(sim, {By::topic, "#"});
  TestPublisher publisher(sim, 7);
  sim.world.run_for(std::chrono::seconds(1));  // the journal is preallocated
  sim.disk.set_capacity(0);
  // The journal has room for some; it is the segments that have none.
  while (publisher.failures.empty()) {
    ASSERT_TRUE(publisher.publish("a", std::string(3000, 'x')));
    sim.world.run_for(std::chrono::milliseconds(10));
  }
  EXPECT_NE(log.wait({event("not_stored"), R"("topic":"a")", "\"text\":\""}), "") << log.all();
}

TEST(HubTrace, NoLocalIsAReasonNotToDeliver) {
  SimHub sim(1);
  TraceLog log(sim, {By::client, "dev"});
  TestSubscriber subscriber(*sim.hubs[0], 42);
  subscriber.name = "dev";
  subscriber.subscribe(sim.world, "a", {.no_local = true});
  TestPublisher own(sim, 42);
  ASSERT_TRUE(own.publish("a", "1"));
  EXPECT_NE(log.wait({event("not_delivered"), offset(0), reason("no_local")}), "") << log.all();
}

TEST(HubTrace, ALaggingSubscriberIsToldOfFromLeavingTheTailToCatchingUp) {
  SimHub sim(1);
  TraceLog log(sim, {By::client, "slow"});
  TestSubscriber subscriber(*sim.hubs[0], 42);
  subscriber.name = "slow";
  subscriber.subscribe(sim.world, "a");
  subscriber.stop();
  TestPublisher publisher(sim, 7);
  ASSERT_TRUE(publisher.publish("a", "1"));
  EXPECT_NE(log.wait({event("left_tail"), offset(0), reason("takes_no_more")}), "") << log.all();
  ASSERT_TRUE(publisher.publish("a", "2"));
  EXPECT_NE(log.wait({event("delayed"), offset(1), reason("lagging"), "\"behind\":1"}), "")
      << log.all();
  subscriber.take(10);
  EXPECT_NE(log.wait({event("joined_tail"), offset(2)}), "") << log.all();
  EXPECT_EQ(subscriber.got.size(), 2u);
}

TEST(HubTrace, AFilterThatIsNewerThanAMessageIsAReason) {
  SimHub sim(1);
  TraceLog log(sim, {By::client, "slow"});
  TestSubscriber subscriber(*sim.hubs[0], 42);
  subscriber.name = "slow";
  subscriber.subscribe(sim.world, "a");
  subscriber.stop();
  TestPublisher publisher(sim, 7);
  ASSERT_TRUE(publisher.publish("a", "1"));
  ASSERT_TRUE(publisher.publish("b", "2"));
  ASSERT_TRUE(sim.world.run_until([&] { return publisher.durable == 2; }));
  subscriber.subscribe(sim.world, "b");
  subscriber.take(10);
  EXPECT_NE(log.wait({event("not_delivered"), R"("topic":"b")", reason("subscribed_later")}), "")
      << log.all();
}

class TopicTraceTest : public testing::TestWithParam<std::uint32_t> {
 protected:
  TopicTraceTest() : sim(5, GetParam()), log(sim, {By::topic, "a/#"}) {
    bool ready = false;
    topic.emplace(sim.group, ShardId{0}, log.id, "a/#", [&](const Result<void>&) { ready = true; });
    SLUICE_ASSERT(sim.world.run_until([&] { return ready; }));
  }
  [[nodiscard]] std::uint32_t last_shard() const { return GetParam() - 1; }

  SimHub sim;
  TraceLog log;
  std::optional<TopicTrace> topic;
};

TEST_P(TopicTraceTest, AMessageThatNobodyMatchesIsShownAsSuch) {
  TestPublisher publisher(sim, 7, last_shard());
  TestSubscriber elsewhere(*sim.hubs[last_shard()], 1);
  elsewhere.subscribe(sim.world, "b");
  ASSERT_TRUE(publisher.publish("a/x", "1"));
  EXPECT_NE(log.wait({event("message"), R"("topic":"a/x")", offset(0), R"("from":"mqtt","qos":1)",
                      "\"subscribers\":0"}),
            "")
      << log.all();
}

TEST_P(TopicTraceTest, SubscribersOfAllShardsAreCountedAndTheTraceItselfIsNone) {
  TestPublisher publisher(sim, 7);
  TestSubscriber first(*sim.hubs[0], 1), second(*sim.hubs[last_shard()], 2),
      third(*sim.hubs[last_shard()], 3);
  first.subscribe(sim.world, "a/x");
  second.subscribe(sim.world, "#");
  third.subscribe(sim.world, "a/y");
  ASSERT_TRUE(publisher.publish("a/x", "1"));
  EXPECT_NE(log.wait({event("message"), "\"subscribers\":2"}), "") << log.all();
}

TEST_P(TopicTraceTest, ASharedSubscriptionCountsAsOneAndIsToldOfByItsName) {
  TestPublisher publisher(sim, 7);
  TestSubscriber first(*sim.hubs[0], 1), second(*sim.hubs[last_shard()], 2);
  first.subscribe(sim.world, "$share/g/a/x");
  second.subscribe(sim.world, "$share/g/a/x");
  first.stop();
  second.stop();
  TraceLog group(sim, {By::client, "$share/g/a/x"});
  ASSERT_TRUE(publisher.publish("a/x", "1"));
  EXPECT_NE(log.wait({event("message"), "\"subscribers\":1"}), "") << log.all();
  ASSERT_TRUE(publisher.publish("a/x", "2"));
  EXPECT_NE(group.wait({event("left_tail"), reason("takes_no_more")}), "") << group.all();
}

TEST_P(TopicTraceTest, EachMessageIsShownOnceAlsoWhenManyComeAtOnce) {
  TestPublisher publisher(sim, 7, last_shard());
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(publisher.publish("a/" + std::to_string(i % 3), "x"));
  EXPECT_NE(log.wait({event("message"), offset(499)}), "");
  EXPECT_EQ(log.count({event("message")}), 500);
}

TEST_P(TopicTraceTest, MayEndWhileCountsAreOnTheirWay) {
  TestPublisher publisher(sim, 7, last_shard());
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(publisher.publish("a/x", "x"));
  ASSERT_TRUE(sim.world.run_until([&] { return log.count({event("stored")}) > 0; }));
  topic.reset();
  sim.world.run_until_idle();
  ASSERT_TRUE(publisher.publish("a/x", "after"));
  sim.world.run_until_idle();
  EXPECT_EQ(log.count({event("message"), offset(50)}), 0);
}

INSTANTIATE_TEST_SUITE_P(Shards, TopicTraceTest, testing::Values(1u, 2u));

}  // namespace
}  // namespace sluice::hub
