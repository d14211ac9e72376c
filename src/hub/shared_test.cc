// Shared subscriptions (MQTT 5, section 4.8.2), on one shard and on several.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "hub/clients_test.h"
#include "hub/sim_hub_test.h"

namespace sluice::hub {
namespace {

using Strings = std::vector<std::string>;

const std::string workers = "$share/workers/a/#";

std::string number(int i) { return std::to_string(i); }

// Members are spread over the shards, so that whichever is the home of the group, some are there
// and some elsewhere.
class Shared : public testing::TestWithParam<std::uint32_t> {
 protected:
  Hub& hub_of(std::uint32_t client) { return *sim.hubs[client % GetParam()]; }
  std::unique_ptr<TestSubscriber> member(std::uint32_t client, const std::string& filter = workers,
                                         SubscribeOptions options = {.qos = 1}) {
    auto made = std::make_unique<TestSubscriber>(hub_of(client), client);
    made->subscribe(sim.world, filter, options);
    return made;
  }
  void publish(const std::string& topic, int from, int until, std::uint8_t qos = 1) {
    for (int i = from; i < until; ++i) ASSERT_TRUE(publisher.publish(topic, number(i), qos));
  }
  void run() { sim.world.run_until_idle(); }

  SimHub sim{1, GetParam()};
  TestPublisher publisher{sim, 7};
};

INSTANTIATE_TEST_SUITE_P(Shards, Shared, testing::Values(1u, 2u, 3u));

Strings all_of(std::initializer_list<const TestSubscriber*> members) {
  Strings all;
  for (const TestSubscriber* one : members)
    for (const std::string& payload : one->payloads()) all.push_back(payload);
  std::ranges::sort(all);
  return all;
}

Strings numbers(int from, int until) {
  Strings all;
  for (int i = from; i < until; ++i) all.push_back(number(i));
  return all;
}

TEST_P(Shared, AMessageGoesToOneMemberAndTheyTakeTurns) {
  const auto one = member(0), two = member(1), three = member(2);
  for (int i = 0; i < 9; ++i) publish("a/" + number(i), i, i + 1);
  run();
  EXPECT_EQ(all_of({one.get(), two.get(), three.get()}), numbers(0, 9));
  for (const auto* each : {one.get(), two.get(), three.get()}) EXPECT_EQ(each->got.size(), 3u);
  EXPECT_EQ(one->got[0].origin, Origin::shared);
  EXPECT_TRUE(one->got[0].topic.starts_with("a/"));
}

TEST_P(Shared, WhatNeedsNoAcknowledgementIsSpreadWhateverItsTopic) {
  const auto one = member(0), two = member(1);
  publish("a/x", 0, 10, 0);
  run();
  EXPECT_EQ(one->got.size(), 5u);
  EXPECT_EQ(two->got.size(), 5u);
}

TEST_P(Shared, ATopicStaysWithAMemberThatHasMessagesOfItOpenAndMovesOnWhenTheyAreSettled) {
  const auto one = member(0), two = member(1);
  TestSubscriber* holder = nullptr;
  for (int i = 0; i < 6; ++i) {
    publish("a/x", i, i + 1);
    run();
    if (!holder) holder = one->got.empty() ? two.get() : one.get();
  }
  EXPECT_EQ(holder->payloads(), numbers(0, 6));
  holder->settle_all();
  run();
  publish("a/x", 6, 7);
  run();
  EXPECT_EQ(holder->got.size(), 6u) << "it is the other one's turn";
  EXPECT_EQ(one->got.size() + two->got.size(), 7u);
}

TEST_P(Shared, ASlowMemberKeepsItsTopicsButGathersNoMore) {
  const auto slow = member(0), fast = member(1);
  for (int i = 0; i < 50; ++i) {
    for (int topic = 0; topic < 10; ++topic) publish("a/" + number(topic), i, i + 1);
    run();
    fast->settle_all();
    fast->got.clear();
    run();
  }
  EXPECT_EQ(slow->got.size(), 250u) << "half of the topics";
}

TEST_P(Shared, AGroupIsAShareNameAndAFilter) {
  const auto one = member(0), other_name = member(1, "$share/others/a/#"),
             other_filter = member(2, "$share/workers/a/+");
  publish("a/x", 0, 4);
  run();
  for (const auto* each : {one.get(), other_name.get(), other_filter.get()})
    EXPECT_EQ(each->payloads(), numbers(0, 4));
}

TEST_P(Shared, APlainFilterOfAMemberGivesItsOwnCopy) {
  const auto one = member(0), two = member(1);
  one->subscribe(sim.world, "a/x", {.qos = 2, .id = 5});
  publish("a/x", 0, 10, 0);
  run();
  std::size_t plain = 0;
  for (const auto& got : one->got) plain += got.origin == Origin::log ? 1 : 0;
  EXPECT_EQ(plain, 10u);
  EXPECT_EQ(one->got.size() - plain + two->got.size(), 10u);
}

TEST_P(Shared, AMemberHasItsOwnOptionsAndMayReplaceThem) {
  const auto one = member(0, workers, {.qos = 2, .id = 3}), two = member(1, workers, {.qos = 0});
  publish("a/x", 0, 2, 0);
  run();
  EXPECT_EQ(one->got.at(0).qos, 2);
  EXPECT_EQ(one->got.at(0).ids, std::vector<std::uint32_t>{3});
  EXPECT_EQ(two->got.at(0).qos, 0);
  EXPECT_TRUE(two->got.at(0).ids.empty());
  two->subscribe(sim.world, workers, {.qos = 1, .id = 4});
  publish("a/x", 2, 4, 0);
  run();
  EXPECT_EQ(two->got.at(1).qos, 1);
  EXPECT_EQ(two->got.at(1).ids, std::vector<std::uint32_t>{4});
  EXPECT_EQ(two->got.size(), 2u) << "it is still one member";
}

TEST_P(Shared, WhatALeavingMemberHasOpenGoesToAnotherBeforeAnythingNewer) {
  const auto two = member(1);
  two->stop();
  auto one = member(0);
  publish("a/x", 0, 5);
  run();
  ASSERT_EQ(one->payloads(), numbers(0, 5));
  one->settle(1);
  run();
  one.reset();
  run();
  two->take(100);
  publish("a/x", 5, 7);
  run();
  EXPECT_EQ(two->payloads(), (Strings{"0", "2", "3", "4", "5", "6"}));
}

TEST_P(Shared, WhoUnsubscribesGetsNoMoreButMaySettleWhatItHas) {
  auto one = member(0);
  publish("a/x", 0, 3);
  run();
  const auto two = member(1);
  EXPECT_TRUE(one->unsubscribe(workers));
  EXPECT_FALSE(one->unsubscribe(workers));
  run();
  publish("a/x", 3, 5);
  run();
  EXPECT_EQ(two->payloads(), numbers(3, 5)) << "the others are not given again yet";
  one->settle(0);
  one->settle(2);
  one.reset();
  run();
  EXPECT_EQ(two->payloads(), (Strings{"3", "4", "1"}));
}

TEST_P(Shared, WhatIsOnItsWayToOneWhoUnsubscribesGoesToAnother) {
  const auto stays = member(0);
  for (std::uint32_t round = 0; round < 100; ++round) {
    const auto leaves = member(round);
    for (int i = 0; i < 4; ++i) publish("a/" + number(i), i, i + 1);
    run();
    ASSERT_EQ(leaves->got.size(), 2u) << "open, so it is still known when it has unsubscribed";
    for (int i = 4; i < 8; ++i) publish("a/" + number(i), i, i + 1);
    const std::uint64_t sent = 8 * (round + 1);
    const auto more = sim.world.random().below(5);
    ASSERT_TRUE(sim.world.run_until([&] { return publisher.durable == sent; }));
    sim.world.run_for(std::chrono::microseconds(10 * more));
    leaves->unsubscribe(workers);
    const std::size_t had = leaves->got.size();
    run();
    ASSERT_EQ(leaves->got.size(), had);
    EXPECT_EQ(all_of({stays.get(), leaves.get()}), numbers(0, 8));
    stays->settle_all();
    stays->got.clear();
    leaves->settle_all();
  }
}

TEST_P(Shared, AMemberThatTakesNothingIsPassedBy) {
  const auto stuck = member(0), one = member(1), two = member(2);
  stuck->stop();
  stuck->take(1);
  for (int i = 0; i < 50; ++i) publish("a/" + number(i), i, i + 1);
  run();
  EXPECT_EQ(stuck->got.size(), 1u);
  EXPECT_EQ(all_of({stuck.get(), one.get(), two.get()}).size(), 50u);
}

TEST_P(Shared, NoMoreThanTheWindowStandsOpen) {
  const auto small = member(0, workers, {.qos = 1, .window = 4}), one = member(1);
  for (int i = 0; i < 50; ++i) publish("a/" + number(i), i, i + 1);
  run();
  EXPECT_EQ(small->got.size(), 4u);
  EXPECT_EQ(one->got.size(), 46u);
  small->settle(0);
  small->settle(1);
  run();
  for (int i = 50; i < 60; ++i) publish("a/" + number(i), i, i + 1);
  run();
  EXPECT_EQ(small->got.size(), 6u) << "there is room for two";
}

TEST_P(Shared, AGroupWithoutRoomLagsAndGoesOnInOrder) {
  const auto only = member(1, workers, {.qos = 1, .window = 10});
  const std::string filler(1000, 'x');  // more than the tail cache holds
  Strings all;
  for (int i = 0; i < 300; ++i) {
    all.push_back(number(i) + filler);
    ASSERT_TRUE(publisher.publish("a/x", all.back()));
    if (i % 10 == 0) sim.world.run_for(std::chrono::milliseconds(20));
  }
  run();
  EXPECT_EQ(only->got.size(), 10u);
  for (std::size_t settled = 0; settled < all.size();) {
    ASSERT_LT(settled, only->got.size()) << "it goes on";
    while (settled < only->got.size()) only->settle(settled++);
    run();
  }
  EXPECT_EQ(only->payloads(), all);
}

// Whoever refuses something must not get what was on its way behind it: that would be out of order.
TEST_P(Shared, TheOnlyMemberGetsAllInOrderHoweverItTakesThem) {
  const auto only = member(1, workers, {.qos = 1, .window = 100});
  only->stop();
  std::size_t settled = 0;
  for (int i = 0; i < 400; ++i) {
    publish("a/" + number(i % 3), i, i + 1);
    sim.world.run_for(std::chrono::microseconds(sim.world.random().below(200)));
    if (sim.world.random().below(3) == 0) only->take(sim.world.random().below(5));
    while (settled < only->got.size()) only->settle(settled++);
  }
  only->take(1000);
  for (int i = 0; i < 10; ++i) {
    run();
    while (settled < only->got.size()) only->settle(settled++);
  }
  EXPECT_EQ(only->payloads(), numbers(0, 400));
}

// Ends itself, or its membership, in the middle of what it is given.
class LeavesAtOnce final : public SubscriberSink {
 public:
  enum class How : std::uint8_t { unsubscribes, goes };
  LeavesAtOnce(Hub& hub, How how) : hub_(hub), how_(how), handle_(hub.add_subscriber(*this, 0)) {
    hub_.subscribe(handle_, workers, {.qos = 1}, [](const Result<void>&) {});
  }
  ~LeavesAtOnce() { hub_.remove_subscriber(handle_); }
  std::size_t on_records(const DeliveryBatch& batch) override {
    got += count_records(batch.deliveries);
    end();
    return count_records(batch.deliveries);
  }
  void end() {
    if (how_ == How::unsubscribes)
      hub_.unsubscribe(handle_, workers);
    else
      hub_.remove_subscriber(handle_);
  }
  std::size_t got = 0;

 private:
  Hub& hub_;
  const How how_;
  Handle handle_;
};

TEST_P(Shared, AMemberMayEndInTheMiddleOfWhatItIsGivenAlsoTheLastOne) {
  using How = LeavesAtOnce::How;
  for (std::uint32_t client = 0; client < 3; ++client) {
    for (const How how : {How::unsubscribes, How::goes}) {
      auto stays = member(client + 1);
      LeavesAtOnce leaves(hub_of(client), how);
      run();
      for (int i = 0; i < 6; ++i) publish("a/" + number(i), i, i + 1);
      run();
      EXPECT_GT(leaves.got, 0u);
      EXPECT_EQ(stays->got.size(), how == How::goes ? 6u : 6u - leaves.got);
      stays.reset();
      run();
      LeavesAtOnce last(hub_of(client), how);
      run();
      publish("a/x", 6, 10);
      run();
      EXPECT_EQ(last.got, 4u);
    }
  }
}

TEST_P(Shared, TheGroupEndsWithItsLastMember) {
  auto one = member(0);
  publish("a/x", 0, 1);
  run();
  one.reset();
  run();
  publish("a/x", 1, 2);
  run();
  const auto later = member(1);
  publish("a/x", 2, 3);
  run();
  EXPECT_EQ(later->payloads(), Strings{"2"});
}

TEST_P(Shared, RetainedMessagesAreNotSentButNewOnesAre) {
  ASSERT_TRUE(publisher.retain("a/x", "old"));
  run();
  const auto one = member(0, workers, {.qos = 1, .send_retained = true});
  run();
  EXPECT_TRUE(one->got.empty());
  ASSERT_TRUE(publisher.retain("a/x", "new"));
  run();
  EXPECT_EQ(one->payloads(), Strings{"new"});
}

TEST_P(Shared, ANewStreamIsFollowedAndADeletedOneForgotten) {
  auto one = member(0);
  const auto two = member(1);
  two->stop();
  sim.create("a", {.partitions = 3});
  publish("a/x", 0, 5);
  run();
  EXPECT_EQ(one->payloads(), numbers(0, 5));
  bool removed = false;
  sim.stream().remove("a", [&](const Result<void>&) { removed = true; });
  ASSERT_TRUE(sim.world.run_until([&] { return removed; }));
  one.reset();
  run();
  two->take(100);
  publish("a/y", 5, 6);
  run();
  EXPECT_EQ(two->payloads(), Strings{"5"}) << "what the stream held is gone, and holds nothing up";
}

TEST_P(Shared, WhatTheLogHasLostIsCountedAndHoldsNothingUp) {
  auto one = member(0);
  const auto two = member(1);
  two->stop();
  publish("a/x", 0, 5);
  run();
  ASSERT_EQ(one->payloads(), numbers(0, 5));
  const Partition partition{sim.stream().catalogue().find("mqtt")->id, 0};
  bool deleted = false;
  sim.stream().delete_records(partition, Offset{3},
                              [&](const Result<Offset>& start) { deleted = start.has_value(); });
  ASSERT_TRUE(sim.world.run_until([&] { return deleted; }));
  one.reset();
  two->take(100);
  sim.world.run_for(std::chrono::seconds(5));
  publish("a/x", 5, 6);
  run();
  EXPECT_EQ(two->payloads(), numbers(3, 6));
  EXPECT_TRUE(sim.metrics_text().contains("reason=\"retention\"} 3\n")) << sim.metrics_text();
}

TEST_P(Shared, AMemberThatLeavesBeforeItsJoinIsAnsweredIsNotLeftBehind) {
  {
    LeavesAtOnce hasty(hub_of(0), LeavesAtOnce::How::goes),
        hastier(hub_of(1), LeavesAtOnce::How::unsubscribes);
    hastier.end();
  }
  const auto one = member(2);
  publish("a/x", 0, 10);
  run();
  EXPECT_EQ(one->payloads(), numbers(0, 10));
  EXPECT_TRUE(sim.metrics_text().contains("sluice_shared_subscriptions 1\n")) << sim.metrics_text();
}

}  // namespace
}  // namespace sluice::hub
