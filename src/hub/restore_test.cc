// Subscribers that outlive their connections, case by case; restore_random_test.cc has the law.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "hub/announcements.h"
#include "hub/clients_test.h"
#include "hub/stored_subscriber_test.h"

namespace sluice::hub {
namespace {

using Strings = std::vector<std::string>;
using Subscriber = std::unique_ptr<StoredSubscriber>;

Subscriber restore(SimHub& sim, const Saved& saved, std::uint32_t shard = 0) {
  auto subscriber = std::make_unique<StoredSubscriber>(*sim.hubs[shard], saved);
  EXPECT_TRUE(sim.world.run_until([&] { return subscriber->restored; }));
  return subscriber;
}

// What the filters give to one who goes at once.
Saved save_with(SimHub& sim, const Strings& filters) {
  StoredSubscriber subscriber(*sim.hubs[0]);
  for (const std::string& filter : filters) subscriber.subscribe(sim.world, filter);
  return subscriber.save();
}

Partition partition_of(SimHub& sim, const std::string& stream, std::uint32_t index = 0) {
  return {sim.stream().catalogue().find(stream)->id, index};
}

void delete_records(SimHub& sim, Partition partition, Offset before) {
  bool done = false;
  sim.stream().delete_records(partition, before, [&](const Result<Offset>& start) {
    ASSERT_TRUE(start);
    done = true;
  });
  ASSERT_TRUE(sim.world.run_until([&] { return done; }));
}

TEST(Restore, NothingComesBeforeResumeAndThenAllThatWasMissedOnce) {
  for (const std::uint32_t shard : {0u, 1u}) {
    SimHub sim(1, 2);
    TestPublisher publisher(sim, 7);
    Saved saved;
    {
      StoredSubscriber before(*sim.hubs[0]);
      before.subscribe(sim.world, "a/#");
      before.take(2);
      for (const char* payload : {"1", "2", "3"}) ASSERT_TRUE(publisher.publish("a/x", payload));
      sim.world.run_until_idle();
      ASSERT_EQ(before.payloads(), (Strings{"1", "2"}));
      saved = before.save();
    }
    ASSERT_TRUE(publisher.publish("a/x", "while it was away"));
    sim.world.run_until_idle();
    const auto after = restore(sim, saved, shard);
    ASSERT_TRUE(publisher.publish("a/x", "before resume"));
    sim.create("later", {.wildcard = true});
    sim.world.run_until_idle();
    EXPECT_TRUE(after->got.empty());
    after->take_all();
    sim.world.run_until_idle();
    ASSERT_TRUE(publisher.publish("a/x", "live"));
    sim.world.run_until_idle();
    EXPECT_EQ(after->payloads(), (Strings{"3", "while it was away", "before resume", "live"}));
  }
}

// Ten retained messages, of which three were taken before it went.
Strings restore_amid_retained(std::uint32_t shard, std::uint32_t partitions) {
  SimHub sim(1, 2);
  sim.create("s", {.partitions = 4});
  TestPublisher publisher(sim, 7);
  for (int i = 0; i < 10; ++i) {
    const std::string topic = "s/" + std::to_string(i);
    EXPECT_TRUE(publisher.retain(topic, topic));
  }
  sim.world.run_until_idle();
  StoredSubscriber before(*sim.hubs[0]);
  before.take(3);
  before.subscribe(sim.world, "s/#", {.qos = 1, .send_retained = true});
  sim.world.run_until_idle();
  const Saved saved = before.save();
  sim.alter("s", {.partitions = partitions});
  EXPECT_TRUE(publisher.retain("s/new", "s/new"));
  sim.world.run_until_idle();
  const auto after = restore(sim, saved, shard);
  after->take_all();
  sim.world.run_for(std::chrono::milliseconds(500));
  Strings all = before.payloads();
  EXPECT_EQ(all.size(), 3u);
  for (const std::string& payload : after->payloads()) all.push_back(payload);
  std::ranges::sort(all);
  return all;
}

const Strings ten_and_a_new_one{"s/0", "s/1", "s/2", "s/3", "s/4",  "s/5",
                                "s/6", "s/7", "s/8", "s/9", "s/new"};

TEST(Restore, RetainedMessagesThatWereYetToComeCome) {
  for (const std::uint32_t shard : {0u, 1u})
    EXPECT_EQ(restore_amid_retained(shard, 4), ten_and_a_new_one);
}

TEST(Restore, RetainedMessagesThatHaveMovedMeanwhileCome) {
  Strings all = restore_amid_retained(0, 8);
  const auto rest = std::ranges::unique(all);
  all.erase(rest.begin(), rest.end());
  EXPECT_EQ(all, ten_and_a_new_one);
}

TEST(Restore, WhereItGoesOnIsKnownBeforehand) {
  SimHub sim(18);
  sim.create("gone", {});
  TestPublisher publisher(sim, 7);
  Saved saved = save_with(sim, {"a/#", "gone/#", "made/later/#"});
  saved.next.push_back({partition_of(sim, "gone"), {5}});
  const auto gone = partition_of(sim, "gone");
  bool removed = false;
  sim.stream().remove("gone", [&](const Result<void>& result) { removed = result.has_value(); });
  ASSERT_TRUE(sim.world.run_until([&] { return removed; }));
  sim.create("made", {.partitions = 2});
  ASSERT_TRUE(publisher.publish("a/x", "while it was away"));
  sim.world.run_until_idle();
  saved.filters.push_back({"$share/group/made/#", {}, {}});
  saved.filters.push_back({"$stream/made", {}, {}});

  const auto before = sim.hubs[0]->restored_positions(saved.filters, saved.next);
  EXPECT_EQ(before, (std::vector<Position>{{partition_of(sim, "mqtt"), {0}},
                                           {partition_of(sim, "made", 0), {0}},
                                           {partition_of(sim, "made", 1), {0}}}));
  EXPECT_EQ(std::ranges::count(before, gone, &Position::partition), 0);
  const auto after = restore(sim, saved);
  EXPECT_EQ(sim.hubs[0]->positions(after->handle()), before);
}

TEST(Restore, PartitionsThatAreFollowedFromNowOnAreHeldBackToo) {
  SimHub sim(2);
  TestPublisher publisher(sim, 7);
  const auto subscriber = restore(sim, save_with(sim, {"s/#", "$SYS/#"}));
  sim.create("s", {.partitions = 2});
  subscriber->subscribe(sim.world, "a");
  ASSERT_TRUE(publisher.publish("s/1", "new stream"));
  ASSERT_TRUE(publisher.publish("a", "new filter"));
  const AnnouncedTopic topic{"$SYS/x", "1", true};
  sim.hubs[0]->announce(make_announcement(0, {&topic, 1}));
  sim.world.run_until_idle();  // the sink would complain
  subscriber->take_all();
  sim.world.run_until_idle();
  EXPECT_EQ(subscriber->got.size(), 2u);
}

TEST(Restore, AReplayBesideItIsHeldBackToo) {
  SimHub sim(14);
  TestPublisher publisher(sim, 7);
  ASSERT_TRUE(publisher.publish("a", "old"));
  const auto subscriber = restore(sim, {});
  subscriber->replay(sim.world, "$stream/mqtt/#", {StartPoint::Kind::earliest});
  sim.world.run_until_idle();  // the sink would complain
  subscriber->take_all();
  sim.world.run_until_idle();
  EXPECT_EQ(subscriber->payloads(), Strings{"old"});
}

TEST(Restore, AReplayGoesOnWhereItWas) {
  SimHub sim(17, 2);
  sim.create("s", {.partitions = 2});
  TestPublisher publisher(sim, 7);
  Strings all;
  const auto publish = [&] {
    for (int i = 0; i < 8; ++i) {
      all.push_back(std::to_string(all.size()));
      ASSERT_TRUE(publisher.publish("s/" + std::to_string(i), all.back()));
    }
    sim.world.run_until_idle();
  };
  publish();
  Strings got;
  Saved saved;
  {
    StoredSubscriber before(*sim.hubs[0]);
    before.take(5);
    before.replay(sim.world, "$stream/s", {StartPoint::Kind::earliest});
    sim.world.run_until_idle();
    got = before.payloads();
    ASSERT_EQ(got.size(), 5u);
    saved = before.save();
  }
  publish();
  const auto after = restore(sim, saved, 1);
  sim.world.run_until_idle();
  EXPECT_TRUE(after->got.empty());
  EXPECT_TRUE(sim.hubs[1]->has_filter(after->handle(), "$stream/s"));
  after->take_all();
  publish();
  for (const std::string& payload : after->payloads()) got.push_back(payload);
  std::ranges::sort(got);
  std::ranges::sort(all);
  EXPECT_EQ(got, all) << "each once";
}

TEST(Restore, WhereAReplayGoesOnIsKnownBeforehand) {
  SimHub sim(19);
  sim.create("s", {.partitions = 2});
  const StoredFilter replay{"$stream/s", {}, {{partition_of(sim, "s", 1), Offset{4}}}};
  EXPECT_EQ(sim.hubs[0]->restored_replay(replay),
            (std::vector<Position>{{partition_of(sim, "s", 0), Offset{0}},
                                   {partition_of(sim, "s", 1), Offset{4}}}));
}

// "a/#" as a subscription reads both streams.
TEST(Restore, AReplayFollowsItsOwnStreamOnly) {
  SimHub sim(20);
  sim.create("a", {});
  Saved saved;
  saved.filters.push_back({"$stream/mqtt/a/#", {}, {}});
  const auto subscriber = restore(sim, saved);
  const auto behind = sim.hubs[0]->describe(subscriber->handle()).behind;
  ASSERT_EQ(behind.size(), 1u);
  EXPECT_EQ(behind[0].stream, "mqtt");
}

TEST(Restore, WithinTheCallABlockCountsAsNotTaken) {
  SimHub sim(3);
  TestPublisher publisher(sim, 7);
  StoredSubscriber subscriber(*sim.hubs[0]);
  subscriber.subscribe(sim.world, "#");
  const Partition mqtt = partition_of(sim, "mqtt");
  int looked = 0;
  subscriber.look = [&](const DeliveryBatch& batch) {
    const Offset first =
        batch.block->from() + batch.block->records()[batch.deliveries.front().record].offset_delta;
    ASSERT_EQ(sim.hubs[0]->positions(subscriber.handle()), (std::vector<Position>{{mqtt, first}}));
    ++looked;
  };
  const auto publish_block = [&] {
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(publisher.publish("a", std::to_string(i)));
    sim.world.run_until_idle();
  };
  publish_block();
  subscriber.take(1);  // the block after begins to be taken at the tail
  publish_block();
  publish_block();
  subscriber.take(4);  // and these are from the log
  sim.world.run_until_idle();
  EXPECT_GE(looked, 4);
  EXPECT_EQ(subscriber.save().next, (std::vector<Position>{{mqtt, Offset{8}}}));
}

TEST(Restore, TheTailsOfAFilterAreKnownWhenItStands) {
  SimHub sim(4, 2);
  sim.create("s", {.partitions = 3});
  TestPublisher publisher(sim, 7);
  ASSERT_TRUE(publisher.publish("a", "x"));
  sim.world.run_until_idle();
  EXPECT_TRUE(sim.hubs[1]->tails("s/#").empty()) << "nobody follows it here";
  StoredSubscriber subscriber(*sim.hubs[1]);
  subscriber.subscribe(sim.world, "s/#");
  std::vector<Position> expected = {{partition_of(sim, "mqtt"), Offset{1}}};
  for (std::uint32_t i = 0; i < 3; ++i) expected.push_back({partition_of(sim, "s", i), Offset{0}});
  auto tails = subscriber.filters()[0].since;
  std::ranges::sort(tails);
  std::ranges::sort(expected);
  EXPECT_EQ(tails, expected);
}

TEST(Restore, WhatAFilterWasNotThereForDoesNotCome) {
  SimHub sim(5);
  TestPublisher publisher(sim, 7);
  Saved saved;
  {
    StoredSubscriber before(*sim.hubs[0]);
    before.subscribe(sim.world, "a");
    const auto next = before.save().next;  // it did not come to save another one
    for (const char* topic : {"a", "b"}) ASSERT_TRUE(publisher.publish(topic, "old"));
    sim.world.run_until_idle();
    before.subscribe(sim.world, "b");
    saved = {before.filters(), next};
  }
  for (const char* topic : {"a", "b"}) ASSERT_TRUE(publisher.publish(topic, "new"));
  const auto after = restore(sim, saved);
  after->take_all();
  sim.world.run_until_idle();
  ASSERT_EQ(after->payloads(), (Strings{"old", "new", "new"}));
  EXPECT_EQ(after->got[2].topic, "b");
}

TEST(Restore, WhatWasMadeMeanwhileIsReadFromItsStart) {
  SimHub sim(6, 2);
  sim.create("grown", {.partitions = 1});
  TestPublisher publisher(sim, 7);
  const Saved saved = save_with(sim, {"s/#", "grown/#"});
  sim.create("s", {.partitions = 2});
  sim.alter("grown", {.partitions = 4});
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(publisher.publish("s/" + std::to_string(i), "x"));
    ASSERT_TRUE(publisher.publish("grown/" + std::to_string(i), "x"));
  }
  sim.world.run_until_idle();
  const auto after = restore(sim, saved, 1);
  after->take_all();
  sim.world.run_until_idle();
  EXPECT_EQ(after->got.size(), 16u);
}

TEST(Restore, AStreamOfTheSameNameIsAnotherOne) {
  SimHub sim(7);
  sim.create("s", {});
  TestPublisher publisher(sim, 7);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(publisher.publish("s/1", "old"));
  sim.world.run_until_idle();
  const Saved saved = save_with(sim, {"s/#"});
  bool removed = false;
  sim.stream().remove("s", [&](const Result<void>&) { removed = true; });
  ASSERT_TRUE(sim.world.run_until([&] { return removed; }));
  sim.create("s", {});
  ASSERT_TRUE(publisher.publish("s/1", "new"));
  sim.world.run_until_idle();
  const auto after = restore(sim, saved);
  after->take_all();
  sim.world.run_until_idle();
  EXPECT_EQ(after->payloads(), Strings{"new"});
}

TEST(Restore, WhoWasFurtherThanTheLogGoesOnAtItsEnd) {
  for (const bool followed : {false, true}) {
    SimHub sim(8, 2);
    TestPublisher publisher(sim, 7);
    TestSubscriber other(*sim.hubs[1]);
    if (followed) other.subscribe(sim.world, "#");
    ASSERT_TRUE(publisher.publish("a", "old"));
    ASSERT_TRUE(publisher.publish("b", "old"));
    sim.world.run_until_idle();
    const Partition mqtt = partition_of(sim, "mqtt");
    const Saved saved{{{"a", {}, {{mqtt, Offset{90}}}}, {"b", {}, {}}}, {{mqtt, Offset{100}}}};
    const auto after = restore(sim, saved, 1);
    EXPECT_EQ(after->save().next, (std::vector<Position>{{mqtt, Offset{2}}}));
    // Nor does the filter wait for an offset that the log has lost.
    const auto behind = restore(sim, {saved.filters, {{mqtt, Offset{0}}}}, 1);
    ASSERT_TRUE(publisher.publish("a", "new"));
    after->take_all();
    behind->take_all();
    sim.world.run_until_idle();
    EXPECT_EQ(after->payloads(), Strings{"new"}) << followed;
    EXPECT_EQ(behind->payloads(), (Strings{"old", "new"})) << followed;
  }
}

// It comes from a shard that hears of messages first to one that has yet to get the last of them.
TEST(Restore, WhoIsAheadOfItsNewShardGetsNothingTwiceAndMissesNothing) {
  SimHub sim(15, 2);
  const auto owner = sim.stream().home(partition_of(sim, "mqtt")).value;
  TestSubscriber other(*sim.hubs[1 - owner]);
  other.subscribe(sim.world, "#");
  TestPublisher publisher(sim, 7, owner);
  Subscriber after;
  StoredSubscriber before(*sim.hubs[owner]);
  before.subscribe(sim.world, "#");
  before.note = [&](const StoredSubscriber::Got& got) {
    if (after) return;
    // In this turn, so before the block is on its way to the other shard.
    const Position next{got.position.partition, got.position.offset + 1};
    after =
        std::make_unique<StoredSubscriber>(*sim.hubs[1 - owner], Saved{before.filters(), {next}});
    after->take_all();
  };
  ASSERT_TRUE(publisher.publish("a", "first"));
  sim.world.run_until_idle();
  ASSERT_EQ(other.got.size(), 1u);
  EXPECT_TRUE(after->got.empty());
  ASSERT_TRUE(publisher.publish("a", "second"));
  sim.world.run_until_idle();
  EXPECT_EQ(after->payloads(), Strings{"second"});
}

TEST(Restore, WhatRetentionHasOvertakenIsCountedAndToldAtOnce) {
  SimHub sim(9);
  TestPublisher publisher(sim, 7);
  const Saved saved = save_with(sim, {"a"});
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(publisher.publish("a", std::to_string(i)));
    sim.world.run_until_idle();
  }
  delete_records(sim, partition_of(sim, "mqtt"), Offset{5});
  const auto after = restore(sim, saved);
  EXPECT_EQ(after->lost, 0u);
  after->take_all();
  sim.world.run_for(std::chrono::milliseconds(500));
  EXPECT_EQ(after->payloads(), (Strings{"5", "6", "7"}));
  EXPECT_EQ(after->lost, 5u);
}

TEST(Restore, ASubscriberMayGoWhenItIsToldOfALoss) {
  SimHub sim(10);
  TestPublisher publisher(sim, 7);
  const Saved saved = save_with(sim, {"a"});
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(publisher.publish("a", std::to_string(i)));
  sim.world.run_until_idle();
  delete_records(sim, partition_of(sim, "mqtt"), Offset{3});
  auto one = restore(sim, saved), other = restore(sim, saved);
  one->lost_too = [&] {
    one.reset();
    other.reset();
  };
  one->take_all();
  other->take_all();
  sim.world.run_for(std::chrono::seconds(3));
  EXPECT_FALSE(one || other);
}

TEST(Restore, ASharedFilterMakesANewMember) {
  SimHub sim(11, 2);
  TestPublisher publisher(sim, 7);
  const auto after = restore(sim, {{{"$share/g/a", {.qos = 1}, {}}, {"b", {}, {}}}, {}}, 1);
  ASSERT_TRUE(publisher.publish("a", "shared"));
  ASSERT_TRUE(publisher.publish("b", "own"));
  sim.world.run_until_idle();
  EXPECT_TRUE(after->got.empty());
  after->take_all();
  sim.world.run_until_idle();
  auto payloads = after->payloads();
  std::ranges::sort(payloads);
  EXPECT_EQ(payloads, (Strings{"own", "shared"}));
}

TEST(Restore, WhoHasNoFilterIsRestoredToo) {
  SimHub sim(12);
  TestPublisher publisher(sim, 7);
  const auto after = restore(sim, {});
  EXPECT_TRUE(after->save().next.empty());
  after->subscribe(sim.world, "a", {.send_retained = true});
  ASSERT_TRUE(publisher.publish("a", "x"));
  sim.world.run_until_idle();
  EXPECT_TRUE(after->got.empty());
  after->take_all();
  sim.world.run_until_idle();
  EXPECT_EQ(after->payloads(), Strings{"x"});
}

TEST(Restore, AFilterThatCoversTooManyPartitionsIsRefused) {
  SimHub sim(13);
  sim.create("s", {.partitions = 3});
  sim.create("t", {.partitions = 2});
  TestSubscriber subscriber(*sim.hubs[0]);
  const auto subscribe = [&](const std::string& filter) {
    std::optional<Result<void>> answer;
    sim.hubs[0]->subscribe(subscriber.handle(), filter, {.partitions_max = 4},
                           [&](Result<void> result) { answer = std::move(result); });
    EXPECT_TRUE(sim.world.run_until([&] { return answer.has_value(); }));
    return answer->has_value() ? std::optional<Errc>() : answer->error().code;
  };
  EXPECT_EQ(subscribe("s/#"), std::nullopt) << "3, and the default stream";
  EXPECT_EQ(subscribe("s/+"), std::nullopt) << "the same ones";
  EXPECT_EQ(subscribe("t/#"), Errc::too_large);
  EXPECT_FALSE(sim.hubs[0]->has_filter(subscriber.handle(), "t/#"));
  EXPECT_EQ(subscribe("s/#"), std::nullopt) << "what stands may be replaced";
}

}  // namespace
}  // namespace sluice::hub
