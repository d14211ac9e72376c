// Partitions that begin to be followed while answers about them are still on their way.

#include <gtest/gtest.h>

#include <chrono>
#include <memory>

#include "hub/clients_test.h"

namespace sluice::hub {
namespace {

using Strings = std::vector<std::string>;

TEST(Sources, WhoSubscribesRightAfterTheLastOneWentGetsWhatComes) {
  for (std::uint64_t seed = 0; seed < 120; ++seed) {
    SimHub sim(seed, 2);
    Hub& hub = *sim.hubs[seed % 2];  // one of the two does not own the partition
    auto first = std::make_unique<TestSubscriber>(hub);
    first->start_subscribe("#");
    sim.world.run_for(std::chrono::microseconds(seed / 2));
    first.reset();
    TestSubscriber second(hub), third(hub);
    second.start_subscribe("#");
    ASSERT_TRUE(sim.world.run_until([&] { return second.subscribed == 1; }));
    third.start_subscribe("#");
    TestPublisher publisher(sim, 7);
    ASSERT_TRUE(publisher.publish("a", "x"));
    ASSERT_TRUE(sim.world.run_until([&] { return third.subscribed == 1; }));
    ASSERT_TRUE(publisher.publish("a", "y"));
    sim.world.run_until_idle();
    EXPECT_EQ(second.payloads(), (Strings{"x", "y"})) << seed;
    EXPECT_FALSE(third.got.empty()) << seed;
  }
}

TEST(Sources, WhoSubscribesToAStreamThatHasJustBeenMadeGetsWhatComes) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SimHub sim(seed, 2);
    Hub& hub = *sim.hubs[seed % 2];
    TestSubscriber before(hub), after(hub);
    before.subscribe(sim.world, "sensors/#");
    sim.stream().create("sensors", {.partitions = 4}, [](const Result<stream::StreamInfo>&) {});
    const auto shard = static_cast<std::uint32_t>(seed % 2);
    ASSERT_TRUE(sim.world.run_until([&] { return sim.stream(shard).catalogue().find("sensors"); }));
    after.start_subscribe("sensors/#");
    ASSERT_TRUE(sim.world.run_until([&] { return after.subscribed == 1; }));
    TestPublisher publisher(sim, 7, shard);
    for (int i = 0; i < 8; ++i) ASSERT_TRUE(publisher.publish("sensors/" + std::to_string(i), "x"));
    sim.world.run_until_idle();
    EXPECT_EQ(before.got.size(), 8u) << seed;
    EXPECT_EQ(after.got.size(), 8u) << seed;
  }
}

TEST(Sources, ASubscriberWaitsForATailThatTheOwnerIsTooBusyFor) {
  for (const std::uint32_t shard : {0u, 1u}) {
    SimHub sim(shard, 2);
    const StreamId mqtt = sim.stream(shard).catalogue().find("mqtt")->id;
    for (int i = 0; i < 10'000; ++i)
      sim.stream(shard).bounds({mqtt, 0}, [](const Result<stream::Bounds>&) {});
    TestSubscriber subscriber(*sim.hubs[shard]);
    subscriber.start_subscribe("#");
    ASSERT_TRUE(sim.world.run_until([&] { return subscriber.subscribed == 1; }));
    TestPublisher publisher(sim, 7);
    ASSERT_TRUE(publisher.publish("a", "x"));
    EXPECT_TRUE(sim.world.run_until([&] { return subscriber.got.size() == 1; })) << shard;
  }
}

}  // namespace
}  // namespace sluice::hub
