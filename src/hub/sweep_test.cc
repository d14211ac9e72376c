// Subscribers that lag far behind, and what is read of the log for them.

#include <gtest/gtest.h>

#include <map>

#include "base/random.h"
#include "hub/clients_test.h"
#include "hub/sweep.h"

namespace sluice::hub {
namespace {

using Strings = std::vector<std::string>;

// Segments that are full soon, and a cache that holds none of them.
log::Options many_segments() {
  log::Options options = SimHub::small_log();
  options.segment_size = 8 << 10;
  options.tail_cache_size = 2 << 10;
  return options;
}

// More messages of 2,000 bytes than a sweep reads before it is a long one.
constexpr int far = 3'000;

class Sweeps : public ::testing::Test {
 protected:
  explicit Sweeps(std::uint64_t seed = 1, std::uint32_t shards = 1)
      : sim(seed, shards, many_segments()), publisher(sim, 7) {}

  // In a batch of its own.
  void publish(const std::string& topic, const std::string& payload) {
    ASSERT_TRUE(publisher.publish(topic, payload));
    ++published;
    ASSERT_TRUE(sim.world.run_until([&] { return publisher.durable == published; }));
  }
  // Takes nothing until it is told to.
  std::unique_ptr<TestSubscriber> stopped_subscriber(const std::string& filter) {
    auto made = std::make_unique<TestSubscriber>(*sim.hubs[0]);
    made->subscribe(sim.world, filter);
    made->stop();
    return made;
  }
  // Of `far` messages to "a/away", and a quarter has come.
  void begin_long_sweep(TestSubscriber& away) {
    for (int i = 0; i < far; ++i) publish("a/away", std::string(2'000, '.'));
    away.take(1'000'000);
    ASSERT_TRUE(sim.world.run_until([&] { return away.got.size() > far / 4; }));
  }
  std::uint64_t count(std::string_view counter) {
    std::vector<Metrics*> all;
    for (Metrics& metrics : sim.metrics) all.push_back(&metrics);
    return static_cast<std::uint64_t>(Metrics::total(all, counter));
  }

  SimHub sim;
  TestPublisher publisher;
  std::uint64_t published = 0;
};

TEST_F(Sweeps, ANarrowFilterFarBehindTakesFewBytesOfTheLog) {
  const auto narrow = stopped_subscriber("plant/7/#");
  publish("plant/7/a", "first");
  for (int i = 0; i < 2'000; ++i)
    publish("plant/" + std::to_string(i % 200) + "/a", std::string(200, '.'));
  const auto before = count("sluice_log_read_bytes_total");
  narrow->take(1'000);
  ASSERT_TRUE(sim.world.run_until([&] { return narrow->got.size() == 11; }));
  sim.world.run_for(std::chrono::seconds(1));
  EXPECT_EQ(narrow->got.size(), 11u);
  EXPECT_LT(count("sluice_log_read_bytes_total") - before,
            count("sluice_log_appended_bytes_total") / 10);
  publish("plant/7/a", "live");
  EXPECT_EQ(narrow->got.back().payload, "live") << "it is at the tail again";
}

TEST_F(Sweeps, AFilterThatBeginsWithAWildcardTakesTheWholeLog) {
  const auto wide = stopped_subscriber("+/7/#");
  for (int i = 0; i < 500; ++i)
    publish("plant/" + std::to_string(i % 100) + "/a", std::string(200, '.'));
  const auto before = count("sluice_log_read_bytes_total");
  wide->take(1'000);
  ASSERT_TRUE(sim.world.run_until([&] { return wide->got.size() == 5; }));
  sim.world.run_for(std::chrono::seconds(1));
  EXPECT_GT(count("sluice_log_read_bytes_total") - before,
            count("sluice_log_appended_bytes_total") / 2);
}

TEST_F(Sweeps, WhoBoardsWhileASweepIsUnderWayMissesNothing) {
  const auto one = stopped_subscriber("a/1");
  const auto other = stopped_subscriber("a/2");
  for (int i = 0; i < 400; ++i) publish("a/" + std::to_string(i % 50), std::string(200, '.'));
  one->take(1'000);
  // The first read is on its way, for one alone.
  sim.world.run_for(std::chrono::nanoseconds(1));
  other->take(1'000);
  ASSERT_TRUE(sim.world.run_until([&] { return one->got.size() == 8 && other->got.size() == 8; }));
}

TEST_F(Sweeps, WhoIsSlowAndFarBehindKeepsNobodyElseWaiting) {
  const auto slow = stopped_subscriber("+/slow");
  const auto other = stopped_subscriber("+/other");
  for (int i = 0; i < 300; ++i) publish("a/slow", std::string(2'000, '.'));  // more than a step
  for (int i = 0; i < 20; ++i) publish("a/other", "x");
  other->take(1'000);
  for (std::size_t taken = 1; taken <= 10; ++taken) {
    slow->take(1);  // before the next step is asked for
    ASSERT_TRUE(sim.world.run_until([&] { return slow->got.size() == taken; }));
  }
  EXPECT_EQ(other->got.size(), 20u);
}

TEST_F(Sweeps, WhoIsBehindForAMomentDoesNotWaitForALongSweep) {
  const auto away = stopped_subscriber("+/away");
  TestSubscriber other(*sim.hubs[0]);
  other.subscribe(sim.world, "a/other");
  begin_long_sweep(*away);
  for (std::size_t taken = 0; taken < 5; ++taken) {
    other.stop();
    publish("a/other", "x");
    sim.world.run_for(std::chrono::microseconds(1));
    other.take(1);
    ASSERT_TRUE(sim.world.run_until([&] { return other.got.size() > taken; }));
  }
  EXPECT_LT(away->got.size(), std::size_t{far}) << "the long one is still under way";
  ASSERT_TRUE(sim.world.run_until([&] { return away->got.size() == far; }));
  other.take(1'000);
  publish("a/away", "live");
  publish("a/other", "live");
  ASSERT_TRUE(sim.world.run_until(
      [&] { return away->got.back().payload == "live" && other.got.back().payload == "live"; }));
  EXPECT_EQ(away->got.size(), std::size_t{far} + 1);
  EXPECT_EQ(other.got.size(), 6u);
}

TEST_F(Sweeps, WhoHasMissedNothingIsAtTheTailWhileALongSweepGoesOn) {
  const auto away = stopped_subscriber("+/away");
  begin_long_sweep(*away);
  TestSubscriber fresh(*sim.hubs[0]);
  fresh.subscribe(sim.world, "a/fresh", {.send_retained = true});
  publish("a/fresh", "live");
  ASSERT_TRUE(sim.world.run_until([&] { return fresh.got.size() == 1; }));
  EXPECT_LT(away->got.size(), std::size_t{far});
}

TEST_F(Sweeps, ManyTogetherGetTheirsInPortionsAndAreToldOfTheEnd) {
  std::vector<std::unique_ptr<TestSubscriber>> many;
  for (std::size_t i = 0; i < Sweep::many + 50; ++i)
    many.push_back(stopped_subscriber("t/" + std::to_string(i)));
  for (int round = 0; round < 3; ++round)
    for (std::size_t i = 0; i < many.size(); ++i)
      publish("t/" + std::to_string(i), std::string(200, '.'));
  for (auto& one : many) one->take(1'000);
  const auto are_served = [&] {
    return std::ranges::all_of(
        many, [](const auto& one) { return one->got.size() == 3 && !one->waits_for_more; });
  };
  EXPECT_TRUE(sim.world.run_until(are_served));
  EXPECT_GT(many.back()->portions_ended, 0);
  publish("t/0", "live");
  EXPECT_FALSE(many.front()->waits_for_more) << "it is at the tail again";
  EXPECT_EQ(many.front()->got.size(), 4u);
}

// By seed: subscribers of few topics each, that stop, go on and take further filters at random
// moments. The law: each gets every message that one of its filters matched when it was published,
// once, in order.
class SweepsBySeed : public Sweeps, public ::testing::WithParamInterface<std::uint64_t> {
 protected:
  struct Member {
    std::unique_ptr<TestSubscriber> subscriber;
    std::map<std::string, std::size_t> filters;  // topics, and what was published before
  };
  SweepsBySeed()
      : Sweeps(GetParam(), static_cast<std::uint32_t>(1 + GetParam() % 2)), random(GetParam()) {}

  void subscribe(Member& member, const std::string& topic) {
    if (member.filters.contains(topic)) return;
    member.subscriber->subscribe(sim.world, random.one_in(3) ? topic + "/#" : topic);
    member.filters[topic] = sent.size();
  }
  [[nodiscard]] Strings expected(const Member& member) const {
    Strings payloads;
    for (std::size_t i = 0; i < sent.size(); ++i) {
      const auto filter = member.filters.find(sent[i]);
      if (filter != member.filters.end() && filter->second <= i)
        payloads.push_back(std::to_string(i) + std::string(100, '.'));
    }
    return payloads;
  }

  Random random;
  Strings sent;  // topics
};

TEST_P(SweepsBySeed, EverybodyGetsAllThatItsFiltersMatchOnceAndInOrder) {
  const auto topic = [&] { return "t/" + std::to_string(random.below(40)); };
  std::vector<Member> members(5);
  for (Member& member : members) {
    member.subscriber = std::make_unique<TestSubscriber>(*sim.hubs[random.below(sim.hubs.size())]);
    subscribe(member, topic());
    member.subscriber->stop();
  }
  for (int step = 0; step < 500; ++step) {
    sent.push_back(topic());
    publish(sent.back(), std::to_string(sent.size() - 1) + std::string(100, '.'));
    Member& member = members[random.below(members.size())];
    if (random.one_in(20)) member.subscriber->take(random.below(4));
    if (random.one_in(40)) subscribe(member, topic());
    if (random.one_in(50)) member.subscriber->stop();
    if (random.one_in(10)) sim.world.run_for(std::chrono::milliseconds(random.below(1500)));
  }
  for (Member& member : members) member.subscriber->take(10'000);
  EXPECT_TRUE(sim.world.run_until([&] {
    return std::ranges::all_of(members, [&](const Member& member) {
      return member.subscriber->got.size() >= expected(member).size();
    });
  }));
  sim.world.run_for(std::chrono::seconds(2));
  for (const Member& member : members) EXPECT_EQ(member.subscriber->payloads(), expected(member));
}

INSTANTIATE_TEST_SUITE_P(Seeds, SweepsBySeed, ::testing::Range<std::uint64_t>(1, 31));

// The same law with as many as get theirs in portions, and so much of the log that sweeps are long.
class LongSweepsBySeed : public SweepsBySeed {};

TEST_P(LongSweepsBySeed, EverybodyGetsAllThatItsFiltersMatchOnceAndInOrder) {
  const auto topic = [&] { return "t/" + std::to_string(random.below(400)); };
  std::vector<Member> members(Sweep::many + 100);
  for (Member& member : members) {
    member.subscriber = std::make_unique<TestSubscriber>(*sim.hubs[0]);
    subscribe(member, topic());
    if (random.one_in(2)) member.subscriber->stop();
  }
  const auto act = [&](Member& member) {
    if (random.one_in(4)) subscribe(member, topic());
    if (random.one_in(2)) member.subscriber->stop();
    if (random.one_in(2)) member.subscriber->take(random.one_in(2) ? random.below(4) : 1'000'000);
  };
  for (int step = 0; step < 3'000; ++step) {
    sent.push_back(topic());
    publish(sent.back(), std::to_string(sent.size() - 1) + std::string(2'000, '.'));
    if (step < 2'000 && !random.one_in(20)) continue;
    act(members[random.below(members.size())]);
    if (random.one_in(100))
      for (Member& member : members) member.subscriber->take(random.below(20));
  }
  for (Member& member : members) member.subscriber->take(10'000);
  sim.world.run_for(std::chrono::seconds(5));
  for (const Member& member : members) {
    Strings numbers;
    for (const auto& got : member.subscriber->got)
      numbers.push_back(got.payload.substr(0, got.payload.find('.')));
    Strings wanted;
    for (const std::string& payload : expected(member))
      wanted.push_back(payload.substr(0, payload.find('.')));
    EXPECT_EQ(numbers, wanted);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, LongSweepsBySeed, ::testing::Range<std::uint64_t>(1, 7));

}  // namespace
}  // namespace sluice::hub
