#include "delayed/delayed.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "delayed/rig_test.h"

namespace sluice::delayed {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using Strings = std::vector<std::string>;

hub::Message message(std::string_view topic, std::string_view payload, std::uint8_t qos = 1) {
  return {.topic = topic, .payload = as_bytes(payload), .qos = qos};
}

Strings numbers(int from, int until) {
  Strings all;
  for (int i = from; i < until; ++i) all.push_back(std::to_string(i));
  return all;
}

TEST(Delayed, AMessageComesWhenItsTimeHasComeAndNotBefore) {
  for (const std::uint8_t qos : {std::uint8_t{0}, std::uint8_t{1}, std::uint8_t{2}}) {
    Rig rig(1);
    hub::TestSubscriber subscriber(*rig.sim->hubs[0]);
    subscriber.subscribe(rig.sim->world, "a/#", {.qos = 2});
    const WallMs before = rig.sim->world.loop(0).wall_ms();
    rig.keep(message("a/x", "late", qos), 5);
    const auto rest = milliseconds(before + 5'000 - rig.sim->world.loop(0).wall_ms());
    rig.run_for(rest - milliseconds(1));
    EXPECT_TRUE(subscriber.got.empty());
    EXPECT_TRUE(rig.waits(1));
    rig.run_for(seconds(2));
    EXPECT_EQ(subscriber.payloads(), Strings{"late"});
    EXPECT_EQ(subscriber.got[0].topic, "a/x");
    EXPECT_TRUE(rig.waits(0)) << rig.metrics();
    rig.run_for(minutes(5));
    EXPECT_EQ(subscriber.got.size(), 1u);
  }
}

TEST(Delayed, MessagesComeInTheOrderInWhichTheyAreDue) {
  Rig rig(2);
  hub::TestSubscriber subscriber(*rig.sim->hubs[0]);
  subscriber.subscribe(rig.sim->world, "#");
  for (const std::uint32_t delay : {30u, 10u, 20u, 0u, 90u})
    rig.keep(message("a", std::to_string(delay)), delay);
  rig.run_for(seconds(25));
  EXPECT_EQ(subscriber.payloads(), (Strings{"0", "10", "20"}));
  rig.keep(message("a", "1"), 1);
  rig.run_for(seconds(100));
  EXPECT_EQ(subscriber.payloads(), (Strings{"0", "10", "20", "1", "30", "90"}));
}

TEST(Delayed, MoreThanFitsInMemoryComesInOrder) {
  Rig rig(3);
  hub::TestSubscriber subscriber(*rig.sim->hubs[0]);
  subscriber.subscribe(rig.sim->world, "#");
  int kept = 0;
  for (int i = 0; i < 5'000; ++i) {
    const std::string payload = std::to_string(i);
    rig.begin(message("a", payload), 100, [&](const Result<void>&) { ++kept; });
  }
  ASSERT_TRUE(rig.sim->world.run_until([&] { return kept == 5'000; }));
  EXPECT_TRUE(rig.waits(5'000));
  rig.run_for(seconds(110));
  EXPECT_EQ(subscriber.payloads(), numbers(0, 5'000));
  EXPECT_TRUE(rig.waits(0));
}

TEST(Delayed, ARetainedMessageIsThereFromItsPublicationOn) {
  Rig rig(4);
  hub::Message retained = message("a", "kept");
  retained.retain = true;
  rig.keep(retained, 10);
  const auto subscribe = [&] {
    auto subscriber = std::make_unique<hub::TestSubscriber>(*rig.sim->hubs[0]);
    subscriber->subscribe(rig.sim->world, "a", {.qos = 1, .send_retained = true});
    rig.run_for(seconds(1));
    return subscriber;
  };
  EXPECT_TRUE(subscribe()->got.empty());
  rig.run_for(seconds(10));
  const auto later = subscribe();
  ASSERT_EQ(later->payloads(), Strings{"kept"});
  EXPECT_EQ(later->got[0].origin, hub::Origin::retained);
}

TEST(Delayed, NoMoreWaitThanMay) {
  Rig rig(5, 2, 3);
  for (std::uint32_t i = 0; i < 3; ++i) rig.keep(message("a", "x"), 10 + i, i % 2);
  const auto refused = rig.publish(message("a", "x"), 1, [](const Result<void>&) {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::out_of_range);
  rig.run_for(seconds(11));
  rig.keep(message("a", "x"), 100);
}

TEST(Delayed, WhatWaitsOutlivesAStopAndNothingIsDoubled) {
  Rig rig(6, 3);
  {
    hub::TestSubscriber subscriber(*rig.sim->hubs[0]);
    subscriber.subscribe(rig.sim->world, "#");
    for (std::uint32_t i = 0; i < 30; ++i)
      rig.keep(message("a", std::to_string(i)), 5 + 10 * (i / 15), i % 3);
    rig.run_for(seconds(6));
    EXPECT_EQ(subscriber.got.size(), 15u);
  }
  rig.stop();
  rig.start(2);  // their slots are on other shards now
  EXPECT_TRUE(rig.waits(15)) << rig.metrics();
  hub::TestSubscriber subscriber(*rig.sim->hubs[0]);
  subscriber.subscribe(rig.sim->world, "#");
  rig.run_for(seconds(30));
  Strings payloads = subscriber.payloads();
  std::ranges::sort(payloads);
  EXPECT_EQ(payloads, numbers(15, 30));
  EXPECT_TRUE(rig.waits(0));
}

TEST(Delayed, AStopInTheMiddleOfPublishingDoublesNothing) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Rig rig(seed);
    for (int i = 0; i < 300; ++i) {
      const std::string payload = std::to_string(i);
      rig.begin(message("a", payload), 1, [](const Result<void>&) {});
    }
    rig.run_for(milliseconds(1'000) + std::chrono::microseconds(seed * 150));
    rig.stop();
    rig.start(1);
    rig.run_for(seconds(5));
    hub::TestSubscriber reader(*rig.sim->hubs[0]);
    ASSERT_TRUE(
        reader.replay(rig.sim->world, "$stream/mqtt", StartPoint{StartPoint::Kind::earliest}));
    rig.run_for(seconds(1));
    EXPECT_EQ(reader.payloads(), numbers(0, 300)) << seed;
  }
}

TEST(Delayed, WhatAStreamDoesNotTakeIsDroppedAndHoldsNothingUp) {
  Rig rig(7);
  rig.sim->create("tiny", {.max_message_bytes = 1'000});
  hub::TestSubscriber subscriber(*rig.sim->hubs[0]);
  subscriber.subscribe(rig.sim->world, "tiny/#");
  const std::string large(2'000, 'x');
  rig.keep(message("tiny/a", large), 1);
  rig.keep(message("tiny/a", "small"), 1);
  rig.run_for(seconds(3));
  EXPECT_EQ(subscriber.payloads(), Strings{"small"});
  EXPECT_TRUE(rig.waits(0));
  EXPECT_TRUE(rig.metrics().contains("reason=\"delayed_not_stored\"} 1\n")) << rig.metrics();
}

TEST(Delayed, TooMuchOnItsWayIsBusyUntilThereIsRoom) {
  Rig rig(8);
  const std::string large(60'000, 'x');
  rig.keep(message("a", "first"), 1);
  int kept = 0;
  std::size_t sent = 0;
  while (rig.publish(message("a", large), 1, [&](const Result<void>&) { ++kept; })) ++sent;
  EXPECT_GE(sent * large.size(), std::size_t{4} << 20);
  EXPECT_LE(sent * large.size(), std::size_t{5} << 20);
  bool room = false;
  rig.parts[0]->wait_for_room([&] { room = true; });
  ASSERT_TRUE(rig.sim->world.run_until([&] { return room; }));
  EXPECT_GT(kept, 0);
  rig.keep(message("a", large), 1);
}

TEST(Delayed, NothingIsTakenWhileTheHubStops) {
  Rig rig(9);
  rig.parts[0]->stop([](const Result<void>& result) { EXPECT_TRUE(result); });
  const auto refused = rig.publish(message("a", "x"), 1, [](const Result<void>&) {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::closed);
}

}  // namespace
}  // namespace sluice::delayed
