// Subscribers that may not be further behind than a limit says, and what they are told.
#include "hub/lag_limits.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>

#include "hub/clients_test.h"
#include "hub/distributor.h"
#include "hub/stored_subscriber_test.h"

namespace sluice::hub {
namespace {

using namespace std::chrono_literals;
using Strings = std::vector<std::string>;
using Subscriber = std::unique_ptr<StoredSubscriber>;

constexpr StartPoint earliest{StartPoint::Kind::earliest};

Strings numbers(int from, int until) {
  Strings all;
  for (int i = from; i < until; ++i) all.push_back(std::to_string(i));
  return all;
}

// The shards' logs have small segments and caches; partitions are on one of the two.
class LimitedLag : public testing::Test {
 protected:
  static log::Options many_segments() {
    log::Options options = SimHub::small_log();
    options.segment_size = 8 << 10;
    options.tail_cache_size = 2 << 10;
    return options;
  }

  // Each in a batch of its own, to topic "a".
  void publish(int from, int until, std::size_t padding = 0) {
    for (int i = from; i < until; ++i) {
      ASSERT_TRUE(publisher.publish("a", std::to_string(i) + std::string(padding, '.')));
      ++published;
      ASSERT_TRUE(sim.world.run_until([&] { return publisher.durable == published; }));
    }
  }
  // One that reads "a" and takes nothing yet.
  Subscriber stopped(const LagLimits* limits, std::uint8_t qos = 1, std::size_t shard = 0) {
    auto one = std::make_unique<StoredSubscriber>(*sim.hubs[shard], 0, limits);
    one->subscribe(sim.world, "a", {.qos = qos});
    one->take(0);
    return one;
  }
  void run(runtime::Duration duration = 3s) { sim.world.run_for(duration); }
  std::uint64_t count(std::string_view counter) {
    std::vector<Metrics*> all;
    for (Metrics& metrics : sim.metrics) all.push_back(&metrics);
    return static_cast<std::uint64_t>(Metrics::total(all, counter));
  }
  std::string metrics() {
    std::vector<Metrics*> all;
    for (Metrics& shard : sim.metrics) all.push_back(&shard);
    return Metrics::render(all);
  }

  const LagLimits a_minute{.any = {.age = 60s}};
  SimHub sim{1, 2, many_segments()};
  TestPublisher publisher{sim, 7};
  std::uint64_t published = 0;
};

TEST_F(LimitedLag, ByAgeWhatIsOlderIsSkippedAndTold) {
  for (const std::size_t shard : {0u, 1u}) {
    const auto one = stopped(&a_minute, 1, shard);
    publish(0, 5);
    run(10min);
    publish(5, 8);
    run(30s);
    one->take_all();
    run();
    EXPECT_EQ(one->payloads(), numbers(5, 8));
    EXPECT_EQ(one->lost_to_limit, 5u);
    EXPECT_EQ(one->lost, 0u);
    publish(8, 9);
    run();
    EXPECT_EQ(one->payloads(), numbers(5, 9)) << "it is at the tail again";
  }
  EXPECT_TRUE(
      metrics().contains("sluice_subscriber_records_skipped_total{reason=\"lag_limit\"} 10\n"))
      << metrics();
}

TEST_F(LimitedLag, WithinTheLimitNothingIsSkipped) {
  const LagLimits limits{.any = {.bytes = 1 << 20, .age = 1h}};
  const auto one = stopped(&limits);
  publish(0, 5);
  run(10min);
  one->take_all();
  run();
  EXPECT_EQ(one->payloads(), numbers(0, 5));
  EXPECT_EQ(one->lost_to_limit, 0u);
}

TEST_F(LimitedLag, ByBytesTheNewestAreKept) {
  constexpr std::uint64_t kept = 20'000;
  const LagLimits limits{.any = {.bytes = kept}};
  const auto one = stopped(&limits), other = stopped(&limits, 1, 1);
  const auto before = count("sluice_log_appended_bytes_total");
  publish(0, 200, 200);
  const auto batch = (count("sluice_log_appended_bytes_total") - before) / 200;
  for (StoredSubscriber* subscriber : {one.get(), other.get()}) {
    subscriber->take_all();
    run();
    const std::size_t got = subscriber->got.size();
    EXPECT_EQ(subscriber->lost_to_limit, 200 - got);
    EXPECT_GE((got + 1) * batch, kept);
    EXPECT_LE(got * batch, kept + (8 << 10) + 2 * batch) << "to a segment, as these are small";
    EXPECT_EQ(subscriber->got.front().position.offset,
              Offset{static_cast<std::int64_t>(200 - got)});
    EXPECT_EQ(subscriber->got.back().position.offset, Offset{199});
  }
}

TEST_F(LimitedLag, WhoGoesOnLaterIsLookedAtAgain) {
  const auto one = stopped(&a_minute);
  publish(0, 3);
  one->take(1);
  run();
  EXPECT_EQ(one->payloads(), numbers(0, 1));
  run(10min);
  publish(3, 4);
  one->take_all();
  run();
  EXPECT_EQ(one->payloads(), (Strings{"0", "3"}));
  EXPECT_EQ(one->lost_to_limit, 2u);
}

TEST_F(LimitedLag, EverybodyHasALimitOfItsOwn) {
  const LagLimits an_hour{.any = {.age = 1h}};
  const auto one = stopped(&a_minute), other = stopped(&an_hour), free = stopped(nullptr);
  publish(0, 1);
  run(2h);
  publish(1, 2);
  run(10min);
  publish(2, 3);
  for (StoredSubscriber* subscriber : {one.get(), other.get(), free.get()}) subscriber->take_all();
  run();
  EXPECT_EQ(one->payloads(), numbers(2, 3));
  EXPECT_EQ(other->payloads(), numbers(1, 3));
  EXPECT_EQ(free->payloads(), numbers(0, 3));
  EXPECT_EQ(free->lost_to_limit, 0u);
}

TEST_F(LimitedLag, AtQos0ItGoesOnAtTheEnd) {
  const LagLimits limits{.any = {.age = 1h}, .qos0 = {.age = 60s}};
  const auto qos0 = stopped(&limits, 0), qos1 = stopped(&limits), both = stopped(&limits, 0);
  both->subscribe(sim.world, "b", {.qos = 1});
  publish(0, 5);
  run(10min);
  publish(5, 8);
  for (StoredSubscriber* one : {qos0.get(), qos1.get(), both.get()}) one->take_all();
  run();
  EXPECT_TRUE(qos0->got.empty());
  EXPECT_EQ(qos0->lost_to_limit, 8u);
  EXPECT_EQ(qos1->payloads(), numbers(0, 8)) << "the limit of QoS 0 is not for it";
  EXPECT_EQ(both->payloads(), numbers(0, 8)) << "one of its filters is of QoS 1";
  publish(8, 9);
  run();
  EXPECT_EQ(qos0->payloads(), numbers(8, 9));
}

TEST_F(LimitedLag, AtQos0TheOtherLimitHoldsIfThereIsNone) {
  const auto one = stopped(&a_minute, 0);
  publish(0, 5);
  run(10min);
  publish(5, 8);
  one->take_all();
  run();
  EXPECT_EQ(one->payloads(), numbers(5, 8));
}

TEST_F(LimitedLag, ReplaysMayBeBehindAsFarAsTheyAreMeantToBe) {
  publish(0, 5);
  run(10min);
  StoredSubscriber one(*sim.hubs[0], 0, &a_minute);
  one.replay(sim.world, "$stream/mqtt/a", earliest);
  run();
  EXPECT_EQ(one.payloads(), numbers(0, 5));
  EXPECT_EQ(one.lost_to_limit, 0u);
}

TEST_F(LimitedLag, WhoComesBackIsMovedOnWhenItIsResumed) {
  Saved saved;
  {
    StoredSubscriber before(*sim.hubs[0]);
    before.subscribe(sim.world, "a", {.qos = 1});
    saved = before.save();
  }
  publish(0, 5);
  run(10min);
  publish(5, 7);
  StoredSubscriber one(*sim.hubs[1], saved, 0, &a_minute);
  run();
  EXPECT_EQ(one.lost_to_limit, 0u);
  EXPECT_EQ(one.save().next, saved.next);
  one.take_all();
  run();
  EXPECT_EQ(one.payloads(), numbers(5, 7));
  EXPECT_EQ(one.lost_to_limit, 5u);
  EXPECT_EQ(one.save().next.front().offset, Offset{7});
}

TEST_F(LimitedLag, ASubscriberMayGoWhenItIsTold) {
  auto one = stopped(&a_minute), other = stopped(&a_minute);
  publish(0, 5);
  run(10min);
  one->lost_too = [&] {
    one.reset();
    other.reset();
  };
  one->take_all();
  other->take_all();
  run();
  EXPECT_FALSE(one || other);
}

// A subscription waits at its place in the log for its retained messages; whoever is moved past it
// has got there.
TEST_F(LimitedLag, WhoIsMovedOnGetsItsRetainedMessages) {
  ASSERT_TRUE(publisher.retain("kept", "retained"));
  ++published;
  ASSERT_TRUE(sim.world.run_until([&] { return publisher.durable == published; }));
  const auto one = stopped(&a_minute);
  publish(0, 5);
  one->subscribe(sim.world, "kept", {.qos = 1, .send_retained = true});
  run(10min);
  one->take_all();
  run();
  EXPECT_EQ(one->payloads(), Strings{"retained"});
  EXPECT_EQ(one->lost_to_limit, 5u);
}

// The shard itself may be behind with all that it has at the tail.
TEST(LossOfAShard, IsToldToAllThatReadAtItsTail) {
  SimHub sim(1);
  Router router(sim.stream().catalogue(), "mqtt");
  Distributor distributor(sim.world.loop(0), sim.stream(), router, *sim.latests[0], sim.metrics[0],
                          sim.hubs[0]->tracer());
  StoredSubscriber reader(*sim.hubs[0]), stranger(*sim.hubs[0]);
  const Handle reading = distributor.add(reader, 0);
  const Handle not_reading = distributor.add(stranger, 0);
  sim.create("other", {});
  distributor.subscribe(reading, "a", {}, [](const Result<void>&) {});
  distributor.subscribe(not_reading, "other/a", {.streams = Streams::named},
                        [](const Result<void>&) {});
  TestPublisher publisher(sim, 7);
  const auto publish = [&](int from, int until) {
    for (int i = from; i < until; ++i) ASSERT_TRUE(publisher.publish("a", std::to_string(i)));
    sim.world.run_until_idle();
  };
  publish(0, 3);
  const Partition mqtt{sim.stream().catalogue().find("mqtt")->id, 0};
  sim.stream().untail(mqtt);
  publish(3, 8);
  bool deleted = false;
  sim.stream().delete_records(mqtt, Offset{6}, [&](const Result<Offset>&) { deleted = true; });
  ASSERT_TRUE(sim.world.run_until([&] { return deleted; }));
  distributor.on_behind(mqtt, Offset{3});
  sim.world.run_for(3s);
  EXPECT_EQ(reader.payloads(), (Strings{"0", "1", "2", "6", "7"}));
  EXPECT_EQ(reader.lost, 3u);
  EXPECT_EQ(stranger.lost, 0u);
  publish(8, 9);
  EXPECT_EQ(reader.payloads().back(), "8");
}

}  // namespace
}  // namespace sluice::hub
