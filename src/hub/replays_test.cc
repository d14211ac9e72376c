// "$stream/<stream>[/<filter>]": the records of a stream from a place of the client's choice on.
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>

#include "base/random.h"
#include "hub/clients_test.h"
#include "hub/distributor.h"
#include "hub/router.h"

namespace sluice::hub {
namespace {

using Strings = std::vector<std::string>;
using Kind = StartPoint::Kind;

constexpr StartPoint earliest{Kind::earliest};
constexpr StartPoint latest{Kind::latest};

StartPoint offset(std::int64_t value) { return {Kind::offset, value}; }

Strings numbers(int from, int until) {
  Strings all;
  for (int i = from; i < until; ++i) all.push_back(std::to_string(i));
  return all;
}

class Replay : public testing::TestWithParam<std::uint32_t> {
 protected:
  std::unique_ptr<TestSubscriber> client(std::uint64_t session = 5) {
    // Some are on the shard of the partition, some are not.
    return std::make_unique<TestSubscriber>(*sim.hubs[session % GetParam()], session);
  }
  void publish(const std::string& topic, int from, int until) {
    for (int i = from; i < until; ++i) ASSERT_TRUE(publisher.publish(topic, std::to_string(i)));
    run();
  }
  void run() { sim.world.run_until_idle(); }
  Partition only_partition(const std::string& stream) {
    return {sim.stream().catalogue().find(stream)->id, 0};
  }
  void delete_before(const std::string& stream, std::int64_t before) {
    std::optional<Result<Offset>> done;
    sim.stream().delete_records(only_partition(stream), Offset{before},
                                [&](Result<Offset> result) { done = std::move(result); });
    ASSERT_TRUE(sim.world.run_until([&] { return done.has_value(); }));
    ASSERT_TRUE(*done);
  }

  SimHub sim{1, GetParam()};
  TestPublisher publisher{sim, 7};
};

INSTANTIATE_TEST_SUITE_P(Shards, Replay, testing::Values(1u, 2u, 3u));

TEST_P(Replay, GivesWhatAStreamHoldsAndThenWhatComes) {
  sim.create("sensors", {});
  publish("sensors/a", 0, 3);
  for (const std::uint64_t session : {4ul, 5ul, 6ul}) {
    const auto one = client(session);
    ASSERT_TRUE(one->replay(sim.world, "$stream/sensors", earliest, {.qos = 1, .id = 9}));
    run();
    EXPECT_EQ(one->payloads(), numbers(0, 3));
    EXPECT_EQ(one->got[0].topic, "sensors/a");
    EXPECT_EQ(one->got[0].ids, std::vector<std::uint32_t>{9});
    EXPECT_EQ(one->got[0].origin, Origin::log);
    ASSERT_TRUE(publisher.publish("sensors/b", "live"));
    run();
    EXPECT_EQ(one->payloads().back(), "live");
    delete_before("sensors", static_cast<std::int64_t>(4 * (session - 3)));
    publish("sensors/a", 0, 3);  // for the next one
  }
}

TEST_P(Replay, BeginsAtAnOffsetATimeOrTheEnd) {
  publish("a", 0, 5);
  sim.world.run_for(std::chrono::seconds(10));
  const std::int64_t between = sim.world.loop(0).wall_ms();
  sim.world.run_for(std::chrono::seconds(10));
  publish("a", 5, 10);
  const std::vector<std::pair<StartPoint, int>> table = {
      {offset(0), 0},
      {offset(3), 3},
      {offset(10), 10},
      {latest, 10},
      {{Kind::time, 0}, 0},
      {{Kind::time, between}, 5},
      {{Kind::time, between + 3'600'000}, 10},
  };
  std::vector<std::unique_ptr<TestSubscriber>> clients;
  for (const auto& [from, first] : table) {
    clients.push_back(client(clients.size()));
    ASSERT_TRUE(clients.back()->replay(sim.world, "$stream/mqtt/a", from));
  }
  publish("a", 10, 12);
  for (std::size_t i = 0; i < table.size(); ++i)
    EXPECT_EQ(clients[i]->payloads(), numbers(table[i].second, 12)) << i;
}

TEST_P(Replay, IsACopyOfItsOwnBesideOtherFiltersAndReplays) {
  publish("a/x", 0, 4);
  const auto one = client();
  one->subscribe(sim.world, "a/#", {.qos = 1, .id = 1});
  ASSERT_TRUE(one->replay(sim.world, "$stream/mqtt/a/#", offset(1), {.qos = 1, .id = 2}));
  ASSERT_TRUE(one->replay(sim.world, "$stream/mqtt/#", offset(3), {.qos = 0, .id = 3}));
  run();
  publish("a/x", 4, 6);
  std::map<std::uint32_t, Strings> by_id;
  for (const auto& got : one->got) {
    ASSERT_EQ(got.ids.size(), 1u);
    by_id[got.ids[0]].push_back(got.payload);
    EXPECT_EQ(got.qos, got.ids[0] == 3 ? 0 : 1);
  }
  EXPECT_EQ(by_id[1], numbers(4, 6));
  EXPECT_EQ(by_id[2], numbers(1, 6));
  EXPECT_EQ(by_id[3], numbers(3, 6));
}

// "a/#" as a subscription reads both streams; a replay names the one it means.
TEST_P(Replay, IsOfOneStreamOnly) {
  publish("a/plain", 0, 2);
  sim.create("a", {.wildcard = true});
  publish("a/named", 2, 4);
  const auto one = client(1), two = client(2);
  ASSERT_TRUE(one->replay(sim.world, "$stream/mqtt/a/#", earliest));
  ASSERT_TRUE(two->replay(sim.world, "$stream/a", earliest));
  run();
  publish("a/more", 4, 5);
  EXPECT_EQ(one->payloads(), numbers(0, 2));
  EXPECT_EQ(two->payloads(), numbers(2, 5));
  EXPECT_TRUE(one->unsubscribe("$stream/mqtt/a/#"));
  EXPECT_TRUE(two->unsubscribe("$stream/a"));
  const auto plain = client(3);
  plain->subscribe(sim.world, "a/#");
  publish("a/more", 5, 6);
  EXPECT_EQ(plain->payloads(), numbers(5, 6)) << "sources are followed as long as somebody wants";
}

TEST_P(Replay, OfAFilterGivesWhatMatchesIt) {
  sim.create("sensors", {.partitions = 3});
  for (int i = 0; i < 20; ++i) publish("sensors/dev" + std::to_string(i % 4) + "/temp", i, i + 1);
  const auto one = client();
  ASSERT_TRUE(one->replay(sim.world, "$stream/sensors/dev2/+", earliest));
  run();
  EXPECT_EQ(one->payloads(), (Strings{"2", "6", "10", "14", "18"}));
}

TEST_P(Replay, IsRefusedForWhatIsNotThere) {
  publish("a", 0, 5);
  delete_before("mqtt", 2);
  const auto one = client();
  const auto error = [&](const std::string& text, const StartPoint& from) {
    const auto result = one->replay(sim.world, text, from);
    return result ? Error{} : result.error();
  };
  EXPECT_EQ(error("$stream/nothing/a", earliest).text, "there is no stream 'nothing'");
  EXPECT_EQ(error("$stream/nothing/a", earliest).code, Errc::not_found);
  EXPECT_EQ(error("$stream/__retained", earliest).code, Errc::not_found) << "it is the hub's own";
  EXPECT_EQ(error("$stream/mqtt/a", offset(1)).text,
            "offset 1 of stream 'mqtt', partition 0, is gone: it begins at 2");
  EXPECT_EQ(error("$stream/mqtt/a", offset(6)).text,
            "offset 6 of stream 'mqtt' is beyond its end, 5");
  EXPECT_EQ(error("$stream/mqtt/a", offset(6)).code, Errc::out_of_range);
  EXPECT_FALSE(one->unsubscribe("$stream/mqtt/a"));
  ASSERT_TRUE(one->replay(sim.world, "$stream/mqtt/a", offset(0)));
  run();
  EXPECT_EQ(one->payloads(), numbers(2, 5)) << "offset 0 is the start";
}

TEST_P(Replay, ThatIsAskedForAgainBeginsAtTheNewPlace) {
  publish("a", 0, 4);
  const auto one = client();
  ASSERT_TRUE(one->replay(sim.world, "$stream/mqtt/a", earliest));
  run();
  ASSERT_TRUE(one->replay(sim.world, "$stream/mqtt/a", offset(2)));
  run();
  EXPECT_EQ(one->payloads(), (Strings{"0", "1", "2", "3", "2", "3"}));
  ASSERT_FALSE(one->replay(sim.world, "$stream/mqtt/a", offset(9)));
  publish("a", 4, 5);
  EXPECT_EQ(one->payloads().back(), "4") << "one that is refused leaves the one before alone";
  EXPECT_TRUE(one->unsubscribe("$stream/mqtt/a"));
  const std::size_t had = one->got.size();
  publish("a", 5, 6);
  EXPECT_EQ(one->got.size(), had);
  EXPECT_TRUE(sim.metrics_text().contains("sluice_subscriptions 0\n")) << sim.metrics_text();
}

TEST_P(Replay, ThatIsAskedForAgainWithoutAPlaceGoesOnWithItsNewOptions) {
  publish("a", 0, 4);
  const auto one = client();
  ASSERT_TRUE(one->replay(sim.world, "$stream/mqtt/a", std::nullopt, {.qos = 1, .id = 1}));
  run();
  EXPECT_EQ(one->payloads(), numbers(0, 4)) << "one that is not there begins at the start";
  one->stop();
  publish("a", 4, 7);
  ASSERT_TRUE(one->replay(sim.world, "$stream/mqtt/a", std::nullopt, {.qos = 1, .id = 2}));
  one->take(100);
  publish("a", 7, 8);
  EXPECT_EQ(one->payloads(), numbers(0, 8));
  for (int i = 0; i < 8; ++i)
    EXPECT_EQ(one->got[static_cast<std::size_t>(i)].ids,
              std::vector<std::uint32_t>{i < 4 ? 1u : 2u});
}

TEST_P(Replay, ItsPlaceIsKnownInAllPartitionsAsSoonAsItBegins) {
  sim.create("s", {.partitions = 3});
  publish("s/a", 0, 5);
  for (auto& hub : sim.hubs) {
    TestSubscriber one(*hub, 5);
    bool done = false;
    hub->replay(one.handle(), "$stream/s", {}, earliest,
                [&](const Result<void>& result) { done = result.has_value(); });
    ASSERT_TRUE(sim.world.run_until([&] { return !hub->replays(one.handle()).empty(); }));
    const auto places = hub->replays(one.handle());
    EXPECT_EQ(places[0].text, "$stream/s");
    EXPECT_EQ(places[0].next.size(), 3u);
    for (const Position& next : places[0].next) EXPECT_EQ(next.offset, Offset{0});
    run();
    EXPECT_TRUE(done);
    EXPECT_EQ(one.payloads(), numbers(0, 5));
    std::int64_t taken = 0;
    for (const Position& next : hub->since(one.handle(), "$stream/s")) taken += next.offset.value;
    EXPECT_EQ(taken, 5);
  }
}

TEST_P(Replay, AllOfASubscriberTogetherCoverAtMostSoManyPartitions) {
  sim.create("s", {.partitions = 3});
  sim.create("t", {.partitions = 2});
  const SubscribeOptions bounded{.qos = 1, .partitions_max = 4};
  const auto one = client();
  ASSERT_TRUE(one->replay(sim.world, "$stream/s", earliest, bounded));
  const auto refused = one->replay(sim.world, "$stream/t", earliest, bounded);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::too_large);
  EXPECT_FALSE(one->unsubscribe("$stream/t"));
  EXPECT_TRUE(one->replay(sim.world, "$stream/s", earliest, bounded)) << "in place of itself";
  EXPECT_TRUE(one->replay(sim.world, "$stream/mqtt", earliest, bounded));
}

TEST_P(Replay, TakesAsMuchAsItsClientHasRoomFor) {
  publish("a", 0, 300);
  const auto one = client();
  one->stop();
  one->subscribe(sim.world, "b");
  ASSERT_TRUE(one->replay(sim.world, "$stream/mqtt/a", earliest));
  run();
  EXPECT_TRUE(one->got.empty());
  for (int taken = 0; taken < 300; taken += 20) {
    EXPECT_EQ(one->got.size(), static_cast<std::size_t>(taken));
    one->take(20);
    run();
  }
  EXPECT_EQ(one->payloads(), numbers(0, 300));
}

TEST_P(Replay, GoesOnWhereRetentionHasLeftSomethingAndTheRestIsCounted) {
  publish("a", 0, 10);
  const auto one = client();
  one->stop();
  ASSERT_TRUE(one->replay(sim.world, "$stream/mqtt/a", earliest));
  one->take(2);
  run();
  delete_before("mqtt", 6);
  one->take(100);
  run();
  sim.world.run_for(std::chrono::seconds(3));
  EXPECT_EQ(one->payloads(), (Strings{"0", "1", "6", "7", "8", "9"}));
  EXPECT_TRUE(sim.metrics_text().contains("reason=\"retention\"} 4\n")) << sim.metrics_text();
}

TEST_P(Replay, FollowsItsStreamThroughMorePartitionsAndAnotherLife) {
  sim.create("sensors", {});
  publish("sensors/0", 0, 1);
  const auto one = client();
  ASSERT_TRUE(one->replay(sim.world, "$stream/sensors", earliest));
  run();
  sim.alter("sensors", {.partitions = 4});
  for (int i = 1; i < 9; ++i) publish("sensors/" + std::to_string(i), i, i + 1);
  run();
  EXPECT_EQ(one->payloads(), numbers(0, 9));
  std::optional<Result<void>> removed;
  sim.stream().remove("sensors", [&](Result<void> result) { removed = std::move(result); });
  ASSERT_TRUE(sim.world.run_until([&] { return removed.has_value(); }));
  sim.create("sensors", {});
  publish("sensors/x", 9, 12);
  run();
  EXPECT_EQ(one->payloads(), numbers(0, 12));
}

TEST_P(Replay, OfAClientThatGoesLeavesNothingBehind) {
  publish("a", 0, 10);
  auto one = client();
  one->stop();
  ASSERT_TRUE(one->replay(sim.world, "$stream/mqtt/a", earliest));
  sim.hubs[0]->replay({}, "$stream/mqtt/a", {}, earliest, [](const Result<void>& result) {
    EXPECT_EQ(result.error().code, Errc::closed) << "its subscriber has never been there";
  });
  one.reset();
  run();
  EXPECT_TRUE(sim.metrics_text().contains("sluice_subscriptions 0\n")) << sim.metrics_text();
}

// The end that a stream knows may be beyond what this shard has handed out so far.
TEST(ReplayFromBeyondTheTail, GivesNothingThatLiesBeforeItsStart) {
  SimHub sim(1);
  Router router(sim.stream().catalogue(), "mqtt");
  Distributor distributor(sim.world.loop(0), sim.stream(), router, *sim.latests[0], sim.metrics[0],
                          sim.hubs[0]->tracer());
  TestSubscriber subscriber(*sim.hubs[0]);
  const Handle cursor = distributor.add(subscriber, 5);
  distributor.subscribe(cursor, "a", {.streams = Streams::plain}, [](const Result<void>&) {},
                        {Offset{3}});
  TestPublisher publisher(sim, 7);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(publisher.publish("a", std::to_string(i)));
    if (i != 2) sim.world.run_until_idle();  // a block that begins before it
  }
  EXPECT_EQ(subscriber.payloads(), numbers(3, 5));
  EXPECT_TRUE(distributor.describe(cursor).behind.empty()) << "it is at the tail";
}

// Several at different places, of a client that takes little at a time, while more is published.
TEST(ReplaysBySeed, GiveEachRecordOnceAndInOrder) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    SimHub sim(seed, static_cast<std::uint32_t>(1 + seed % 3));
    Random random(seed);
    TestPublisher publisher(sim, 7);
    TestSubscriber subscriber(*sim.hubs[seed % sim.hubs.size()], 5);
    int published = 0;
    const auto publish = [&](std::uint64_t count) {
      for (std::uint64_t i = 0; i < count; ++i)
        ASSERT_TRUE(publisher.publish("a/" + std::to_string(i % 3), std::to_string(published++)));
      sim.world.run_until_idle();
    };
    publish(1 + random.below(200));
    subscriber.stop();
    const Strings filters{"#", "a/#", "a/+", "+/+"};
    std::map<std::uint32_t, int> starts;
    for (std::uint32_t id = 1; id < 5; ++id) {
      starts[id] = static_cast<int>(random.below(static_cast<std::uint64_t>(published)));
      ASSERT_TRUE(subscriber.replay(sim.world, "$stream/mqtt/" + filters[id - 1],
                                    offset(starts[id]), {.qos = 1, .id = id}));
      if (random.below(2) == 0) publish(random.below(50));
      subscriber.take(random.below(60));
      sim.world.run_for(std::chrono::microseconds(random.below(300)));
    }
    while (subscriber.got.size() < 4 * static_cast<std::size_t>(published)) {
      const std::size_t had = subscriber.got.size();
      subscriber.take(1 + random.below(60));
      sim.world.run_until_idle();
      if (subscriber.got.size() == had) break;
    }
    std::map<std::uint32_t, Strings> by_id;
    for (const auto& got : subscriber.got) by_id[got.ids.at(0)].push_back(got.payload);
    for (const auto& [id, start] : starts)
      EXPECT_EQ(by_id[id], numbers(start, published)) << "seed " << seed << ", replay " << id;
  }
}

}  // namespace
}  // namespace sluice::hub
