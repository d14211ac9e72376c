#include "hub/hub.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "hub/clients_test.h"
#include "hub/sim_hub_test.h"
#include "topic/topic.h"

namespace sluice::hub {
namespace {

using Strings = std::vector<std::string>;

TEST(Hub, AMessageReachesWhoSubscribedAndItsPublisherHearsOfIt) {
  SimHub sim(1);
  TestPublisher publisher(sim, 7);
  TestSubscriber here(*sim.hubs[0]), elsewhere(*sim.hubs[0]);
  here.subscribe(sim.world, "a/+", {.qos = 1});
  elsewhere.subscribe(sim.world, "b/#");
  ASSERT_TRUE(publisher.publish("a/x", "1"));
  ASSERT_TRUE(publisher.publish("a/y", "2"));
  EXPECT_EQ(publisher.durable, 0u);
  ASSERT_TRUE(sim.world.run_until([&] { return publisher.durable == 2; }));
  EXPECT_EQ(here.payloads(), (Strings{"1", "2"}))
      << "who has seen an acknowledgement finds the message";
  EXPECT_EQ(here.got[0].topic, "a/x");
  EXPECT_TRUE(elsewhere.got.empty());
}

TEST(Hub, OverlappingFiltersGiveOneCopyAtTheHighestQosWithAllIdentifiers) {
  SimHub sim(2);
  TestPublisher publisher(sim, 7);
  TestSubscriber subscriber(*sim.hubs[0]);
  subscriber.subscribe(sim.world, "a/#", {.qos = 0, .id = 5});
  subscriber.subscribe(sim.world, "a/+", {.qos = 1, .id = 9});
  ASSERT_TRUE(publisher.publish("a/x", "1"));
  ASSERT_TRUE(sim.world.run_until([&] { return publisher.durable == 1; }));
  ASSERT_EQ(subscriber.got.size(), 1u);
  EXPECT_EQ(subscriber.got[0].qos, 1);
  EXPECT_EQ(std::set(subscriber.got[0].ids.begin(), subscriber.got[0].ids.end()),
            (std::set<std::uint32_t>{5, 9}));
}

TEST(Hub, NoLocalHoldsOnlyIfAllMatchingFiltersAskForIt) {
  SimHub sim(3);
  TestPublisher own(sim, 42), other(sim, 43);
  TestSubscriber subscriber(*sim.hubs[0], 42);
  subscriber.subscribe(sim.world, "a/#", {.no_local = true});
  ASSERT_TRUE(own.publish("a/x", "own"));
  ASSERT_TRUE(other.publish("a/x", "other"));
  ASSERT_TRUE(sim.world.run_until([&] { return own.durable == 1 && other.durable == 1; }));
  EXPECT_EQ(subscriber.payloads(), (Strings{"other"}));
  subscriber.subscribe(sim.world, "a/x");
  ASSERT_TRUE(own.publish("a/x", "own again"));
  ASSERT_TRUE(sim.world.run_until([&] { return own.durable == 2; }));
  EXPECT_EQ(subscriber.payloads(), (Strings{"other", "own again"}));
}

TEST(Hub, ANamedStreamIsReadByItsNameTogetherWithTheDefaultOne) {
  SimHub sim(4);
  TestPublisher publisher(sim, 7);
  TestSubscriber subscriber(*sim.hubs[0]), wild(*sim.hubs[0]);
  subscriber.subscribe(sim.world, "sensors/#");
  wild.subscribe(sim.world, "#");
  ASSERT_TRUE(publisher.publish("sensors/a", "before"));
  ASSERT_TRUE(sim.world.run_until([&] { return publisher.durable == 1; }));
  sim.create("sensors", {.partitions = 4});
  ASSERT_TRUE(publisher.publish("sensors/a", "after"));
  ASSERT_TRUE(publisher.publish("other", "plain"));
  ASSERT_TRUE(sim.world.run_until([&] { return publisher.durable == 3; }));
  sim.world.run_until_idle();
  EXPECT_EQ(subscriber.payloads(), (Strings{"before", "after"}));
  EXPECT_EQ(subscriber.got[1].topic, "sensors/a");
  EXPECT_EQ(wild.payloads(), (Strings{"before", "plain"})) << "the stream is not marked wildcard";
}

TEST(Hub, NewPartitionsOfAStreamAreFollowed) {
  SimHub sim(4, 2);
  TestPublisher publisher(sim, 7);
  TestSubscriber subscriber(*sim.hubs[1]);
  sim.create("sensors", {.partitions = 1});
  subscriber.subscribe(sim.world, "sensors/#");
  sim.alter("sensors", {.partitions = 8});
  for (int i = 0; i < 20; ++i)
    ASSERT_TRUE(publisher.publish("sensors/" + std::to_string(i), std::to_string(i)));
  EXPECT_TRUE(sim.world.run_until([&] { return subscriber.got.size() == 20; }))
      << subscriber.got.size();
  EXPECT_TRUE(subscriber.unsubscribe("sensors/#"));
  ASSERT_TRUE(publisher.publish("sensors/0", "unwanted"));
  ASSERT_TRUE(sim.world.run_until([&] { return publisher.durable == 21; }));
  EXPECT_EQ(subscriber.got.size(), 20u);
}

TEST(Hub, AStreamThatBecomesCoveredByWildcardsIsFollowedFromThenOn) {
  SimHub sim(4);
  TestPublisher publisher(sim, 7);
  TestSubscriber wild(*sim.hubs[0]), named(*sim.hubs[0]);
  sim.create("sensors", {});
  wild.subscribe(sim.world, "#");
  named.subscribe(sim.world, "sensors/a");
  std::uint64_t sent = 0;
  for (const bool wildcard : {false, true, false}) {
    sim.alter("sensors", {.wildcard = wildcard});
    ASSERT_TRUE(publisher.publish("sensors/a", wildcard ? "wild" : "not wild"));
    ++sent;
    ASSERT_TRUE(sim.world.run_until([&] { return publisher.durable == sent; }));
  }
  sim.world.run_until_idle();
  EXPECT_EQ(wild.payloads(), Strings{"wild"});
  EXPECT_EQ(named.payloads(), (Strings{"not wild", "wild", "not wild"}));
}

TEST(Hub, ADeletedDefaultStreamIsMadeAnewAndFollowed) {
  SimHub sim(5);
  TestPublisher publisher(sim, 7);
  TestSubscriber subscriber(*sim.hubs[0]);
  subscriber.subscribe(sim.world, "#");
  const StreamId old = sim.stream().catalogue().find("mqtt")->id;
  sim.stream().remove("mqtt", [](const Result<void>& removed) { EXPECT_TRUE(removed); });
  ASSERT_TRUE(sim.world.run_until([&] {
    const auto* stream = sim.stream().catalogue().find("mqtt");
    return stream && stream->id != old;
  }));
  ASSERT_TRUE(publisher.publish("x", "1"));
  ASSERT_TRUE(sim.world.run_until([&] { return publisher.durable == 1; }));
  EXPECT_EQ(subscriber.payloads(), (Strings{"1"}));
}

TEST(Hub, WhoTakesNoMoreGetsTheRestFromTheLogInOrder) {
  SimHub sim(6);
  TestPublisher publisher(sim, 7);
  TestSubscriber slow(*sim.hubs[0]), fast(*sim.hubs[0]);
  slow.subscribe(sim.world, "a/#");
  fast.subscribe(sim.world, "a/#");
  slow.stop();
  slow.take(3);
  Strings all;
  // Far more than the tail cache holds, so that the sweep reads segments.
  const std::string filler(1000, 'x');
  for (int i = 0; i < 500; ++i) {
    all.push_back(std::to_string(i) + filler);
    ASSERT_TRUE(publisher.publish("a/x", all.back()));
    if (i % 10 == 0) sim.world.run_for(std::chrono::milliseconds(20));
  }
  ASSERT_TRUE(sim.world.run_until([&] { return publisher.durable == 500; }));
  ASSERT_TRUE(publisher.failures.empty()) << publisher.failures[0].text;
  EXPECT_TRUE(fast.payloads() == all) << fast.got.size();
  EXPECT_EQ(slow.got.size(), 3u);
  slow.take(100);
  ASSERT_TRUE(sim.world.run_until([&] { return slow.got.size() == 103; }));
  slow.take(1000);
  ASSERT_TRUE(sim.world.run_until([&] { return slow.got.size() == 500; }));
  EXPECT_TRUE(slow.payloads() == all);
  ASSERT_TRUE(publisher.publish("a/x", "live"));
  ASSERT_TRUE(sim.world.run_until([&] { return publisher.durable == 501; }));
  EXPECT_EQ(slow.got.back().payload, "live") << "it is at the tail again";
}

TEST(Hub, AFilterAddedWhileLaggingMatchesNothingOlder) {
  SimHub sim(7);
  TestPublisher publisher(sim, 7);
  TestSubscriber slow(*sim.hubs[0]);
  slow.subscribe(sim.world, "a");
  slow.stop();
  for (const char* topic : {"a", "b", "a"})
    ASSERT_TRUE(publisher.publish(topic, std::string("old ") + topic));
  ASSERT_TRUE(sim.world.run_until([&] { return publisher.durable == 3; }));
  slow.subscribe(sim.world, "b");
  ASSERT_TRUE(publisher.publish("b", "new b"));
  ASSERT_TRUE(sim.world.run_until([&] { return publisher.durable == 4; }));
  slow.take(100);
  ASSERT_TRUE(sim.world.run_until([&] { return slow.got.size() == 3; }));
  EXPECT_EQ(slow.payloads(), (Strings{"old a", "old a", "new b"}));
}

TEST(Hub, WhileAFilterIsTooNewTheOthersCountOnlyForTheStreamsTheyCover) {
  SimHub sim(11);
  sim.create("k", {.wildcard = false});
  TestPublisher publisher(sim, 7);
  TestSubscriber slow(*sim.hubs[0]);
  slow.subscribe(sim.world, "#", {.qos = 2});
  slow.subscribe(sim.world, "k/1", {.qos = 1});
  slow.stop();
  ASSERT_TRUE(publisher.publish("k/1", "x"));
  sim.world.run_until_idle();
  slow.subscribe(sim.world, "k/+", {.qos = 0});
  slow.take(10);
  sim.world.run_until_idle();
  ASSERT_EQ(slow.got.size(), 1u);
  EXPECT_EQ(slow.got[0].qos, 1) << "'#' does not cover the stream";
}

TEST(Hub, PublishersAreHeldBackAndToldWhenThereIsRoom) {
  log::Options roomy = SimHub::small_log();
  roomy.journal_size = 2 << 20;
  SimHub sim(8, 1, roomy);
  TestPublisher publisher(sim, 7);
  const std::string big(100'000, 'x');
  int published = 0;
  while (sim.hubs[0]->has_room()) {
    ASSERT_TRUE(publisher.publish("a", big));
    ASSERT_LT(++published, 1000) << "what is on its way to the log is bounded";
  }
  EXPECT_EQ(publisher.publish("a", "one more").error().code, Errc::busy);
  publisher.wait_for_room();
  ASSERT_TRUE(sim.world.run_until([&] { return publisher.rooms == 1; }));
  EXPECT_TRUE(publisher.failures.empty());
}

TEST(Hub, WhoWaitsForWhatWasPublishedIsToldWhenAllOfItHasItsAnswer) {
  SimHub sim(10, 2);
  sim.create("s", {.partitions = 4});
  TestPublisher publisher(sim, 7);
  int told = 0;
  sim.hubs[0]->when_published([&] { ++told; });
  EXPECT_EQ(told, 1) << "nothing is on its way";
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(publisher.publish("s/" + std::to_string(i), "x"));
  bool all_durable = false;
  sim.hubs[0]->when_published([&] { all_durable = publisher.durable == 8; });
  EXPECT_FALSE(all_durable);
  ASSERT_TRUE(sim.world.run_until([&] { return all_durable; })) << "and the publisher knows it";

  ASSERT_TRUE(publisher.publish("s/1", "y", 0));
  sim.world.run_for(std::chrono::microseconds(1));
  sim.hubs[0]->when_published([&] { ++told; });
  EXPECT_EQ(told, 1) << "what wants no answer counts, too, and so do turns that are over";
  sim.stream().remove("s", [](const Result<void>&) {});
  EXPECT_TRUE(sim.world.run_until([&] { return told == 2; })) << "whether it is durable or failed";
  TestPublisher later(sim, 8);
  ASSERT_TRUE(later.publish("a", "z"));
  sim.hubs[1]->when_published([&] { ++told; });
  EXPECT_EQ(told, 3) << "each shard for itself";
}

TEST(Hub, AClientIdHasOneHolderOverAllShards) {
  SimHub sim(9, 3);
  using Eviction = std::pair<std::uint64_t, Claim>;
  std::vector<Eviction> evicted;
  int granted = 0;
  const auto claim = [&](std::uint32_t shard, std::uint64_t session, Claim how) {
    const int before = granted;
    sim.hubs[shard]->claim(
        "dev1", session, how,
        [&](std::uint64_t older, Claim newer, Task done) {
          evicted.emplace_back(older, newer);
          done();
        },
        [&](const Result<void>&) { ++granted; });
    return sim.world.run_until([&] { return granted > before; });
  };
  ASSERT_TRUE(claim(0, 100, Claim::clean));
  ASSERT_TRUE(claim(1, 101, Claim::resume));
  ASSERT_TRUE(claim(2, 102, Claim::clean));
  ASSERT_TRUE(claim(1, 103, Claim::resume));
  const std::vector<Eviction> newer = {
      {100, Claim::resume}, {101, Claim::clean}, {102, Claim::resume}};
  EXPECT_EQ(evicted, newer) << "each older holder, once, told how the newer one claims";
  sim.hubs[1]->release("dev1", 103);
  sim.world.run_until_idle();
  ASSERT_TRUE(claim(2, 200, Claim::clean));
  EXPECT_EQ(evicted, newer) << "nobody held it";
}

// By seed: publishers and subscribers on several shards, random filters, subscribers that stop and
// go on at random. The law: from the moment its filter stands, each gets every message that
// matches, once, in the order of its publisher.
class HubBySeed : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(HubBySeed, EverySubscriberGetsAllThatMatchesOnceAndInOrder) {
  Random random(GetParam());
  const auto shards = static_cast<std::uint32_t>(1 + random.below(3));
  SimHub sim(GetParam(), shards);
  sim.create("s", {.partitions = 3, .wildcard = true});
  const auto hub_at = [&](std::uint64_t shard) -> Hub& { return *sim.hubs[shard]; };

  const Strings topics = {"a/1", "a/2", "b/1", "s/1", "s/2", "s/a/1"};
  const Strings filters = {"#", "a/#", "+/1", "s/+", "s/a/1", "b/1"};
  std::vector<std::unique_ptr<TestPublisher>> publishers;
  for (std::uint64_t i = 0; i < 4; ++i)
    publishers.push_back(std::make_unique<TestPublisher>(
        sim, i + 1, static_cast<std::uint32_t>(random.below(shards))));
  std::vector<std::unique_ptr<TestSubscriber>> subscribers;
  Strings filter_of;
  for (int i = 0; i < 6; ++i) {
    subscribers.push_back(std::make_unique<TestSubscriber>(hub_at(random.below(shards))));
    filter_of.push_back(filters[random.below(filters.size())]);
    subscribers.back()->subscribe(sim.world, filter_of.back());
    if (random.one_in(2)) subscribers.back()->stop();
  }

  std::map<std::string, std::map<std::uint64_t, Strings>> sent;  // by topic and publisher
  std::vector<std::uint64_t> count(publishers.size());
  for (int step = 0; step < 300; ++step) {
    const std::uint64_t who = random.below(publishers.size());
    const std::string& topic = topics[random.below(topics.size())];
    const std::string payload = std::to_string(who) + ":" + std::to_string(count[who]) +
                                std::string(random.below(600), '.');
    if (publishers[who]->publish(topic, payload)) {
      ++count[who];
      sent[topic][who].push_back(payload);
    }
    if (random.one_in(4)) subscribers[random.below(subscribers.size())]->take(random.below(20));
    if (random.one_in(10)) sim.world.run_for(std::chrono::microseconds(random.below(3000)));
  }
  for (auto& subscriber : subscribers) subscriber->take(1'000'000);
  const auto expected = [&](std::size_t i) {
    std::size_t total = 0;
    for (const auto& [topic, by_publisher] : sent)
      if (topic::matches(filter_of[i], topic))
        for (const auto& [who, payloads] : by_publisher) total += payloads.size();
    return total;
  };
  ASSERT_TRUE(sim.world.run_until([&] {
    for (std::size_t i = 0; i < subscribers.size(); ++i)
      if (subscribers[i]->got.size() < expected(i)) return false;
    return true;
  })) << "a message is missing";
  sim.world.run_for(std::chrono::seconds(1));
  for (std::size_t i = 0; i < subscribers.size(); ++i) {
    EXPECT_EQ(subscribers[i]->got.size(), expected(i)) << filter_of[i];
    std::map<std::string, std::map<std::uint64_t, Strings>> got;
    for (const auto& one : subscribers[i]->got)
      got[one.topic][std::stoull(one.payload)].push_back(one.payload);
    for (const auto& [topic, by_publisher] : got)
      EXPECT_EQ(by_publisher, sent[topic]) << filter_of[i] << " " << topic;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, HubBySeed, ::testing::Range<std::uint64_t>(1, 101));

}  // namespace
}  // namespace sluice::hub
