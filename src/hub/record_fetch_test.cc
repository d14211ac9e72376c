#include "hub/record_fetch.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <limits>
#include <optional>

#include "hub/clients_test.h"
#include "hub/stored_subscriber_test.h"

namespace sluice::hub {
namespace {

using Strings = std::vector<std::string>;

// Notes what it is given: "<topic>=<payload>", or "gone".
class Fetcher final : public FetchSink {
 public:
  explicit Fetcher(Hub& hub) : hub_(hub), subscriber_(std::make_unique<TestSubscriber>(hub)) {}

  // `replay`: of which all of them were; empty: of none.
  void fetch(const std::vector<Position>& positions, const std::string& replay = {}) {
    const std::uint32_t mark = replay.empty() ? 0 : sessions::group_mark(replay);
    std::vector<WantedRecord> records;
    records.reserve(positions.size());
    for (const Position& position : positions) records.push_back({position, mark});
    hub_.fetch(subscriber_->handle(), std::move(records), *this,
               [this](const Result<std::size_t>& count) { done = *count; });
  }
  void fetch_retained(const std::string& topic, Position position) {
    hub_.fetch(subscriber_->handle(), {{.position = position, .retained_topic = topic}}, *this,
               [this](const Result<std::size_t>& count) { done = *count; });
  }
  void leave() { subscriber_.reset(); }
  void subscribe(sim::SimWorld& world, const std::string& filter, std::uint32_t id) {
    subscriber_->subscribe(world, filter, {.qos = 1, .retain_as_published = true, .id = id});
  }
  void replay(sim::SimWorld& world, const std::string& text, std::uint32_t id) {
    ASSERT_TRUE(subscriber_->replay(world, text, StartPoint{StartPoint::Kind::latest},
                                    {.qos = 1, .id = id}));
  }
  void unsubscribe(const std::string& filter) { subscriber_->unsubscribe(filter); }

  bool on_fetched(const FetchedRecord& fetched) override {
    const log::Record& record = fetched.block->records()[fetched.record];
    if (got.size() == room) return false;
    got.push_back(std::string(fetched.prefix) + std::string(as_text(fetched.block->key(record))) +
                  '=' + std::string(as_text(fetched.block->value(record))));
    at.push_back(fetched.position);
    if (fetched.is_retained) got.back() += " retained";
    if (const Grant* grant = fetched.grant) ids.emplace_back(grant->ids.begin(), grant->ids.end());
    if (got.size() == leave_at) leave();
    return true;
  }
  void on_gone(Position position) override {
    got.emplace_back("gone");
    at.push_back(position);
  }

  Strings got;
  std::vector<Position> at;
  std::vector<std::vector<std::uint32_t>> ids;  // of those that filters match
  std::optional<std::size_t> done;
  std::size_t room = std::numeric_limits<std::size_t>::max();
  std::size_t leave_at = 0;

 private:
  Hub& hub_;
  std::unique_ptr<TestSubscriber> subscriber_;
};

// A hub with 300 messages in two partitions, far more than the tail cache holds.
class Fetch : public ::testing::TestWithParam<std::uint32_t> {
 protected:
  void SetUp() override {
    sim.create("s", {.partitions = 2});
    StoredSubscriber recorder(*sim.hubs[0]);
    recorder.subscribe(sim.world, "#");
    recorder.subscribe(sim.world, "s/#");
    TestPublisher publisher(sim, 7);
    for (int i = 0; i < 300; ++i) {
      const std::string topic = (i % 3 == 0 ? "a" : "s/") + std::to_string(i % 7);
      ASSERT_TRUE(publisher.publish(topic, std::to_string(i) + std::string(1000, '.')));
      if (i % 10 == 0) sim.world.run_for(std::chrono::milliseconds(20));
    }
    sim.world.run_until_idle();
    for (const auto& got : recorder.got) {
      places.push_back(got.position);
      texts.push_back(got.topic + '=' + got.payload);
    }
    ASSERT_EQ(places.size(), 300u);
  }
  void run(Fetcher& fetcher, const std::vector<Position>& positions,
           const std::string& replay = {}) {
    fetcher.done.reset();
    fetcher.fetch(positions, replay);
    EXPECT_FALSE(fetcher.done) << "never within the call";
    ASSERT_TRUE(sim.world.run_until([&] { return fetcher.done.has_value(); }));
  }

  using Ids = std::vector<std::vector<std::uint32_t>>;
  [[nodiscard]] Position of_topic(const std::string& topic) const {
    for (std::size_t i = 0; i < texts.size(); ++i)
      if (texts[i].starts_with(topic + '=')) return places[i];
    return {};
  }

  SimHub sim{GetParam(), 2};
  Hub& hub = *sim.hubs[GetParam()];
  std::vector<Position> places;
  Strings texts;
};

TEST_P(Fetch, RecordsComeInTheOrderTheyAreAskedFor) {
  Fetcher fetcher(hub);
  std::vector<Position> positions;
  Strings expected;
  for (std::size_t i = 0; i < 500; ++i) {  // some neighbours, some far away, some twice
    const std::size_t which = i * i / 3 % 300;
    positions.push_back(places[which]);
    expected.push_back(texts[which]);
  }
  run(fetcher, positions);
  EXPECT_EQ(fetcher.got, expected);
  EXPECT_EQ(fetcher.at, positions);
  EXPECT_EQ(fetcher.done, 500u);
}

TEST_P(Fetch, ARetainedMessageIsFoundAsLongAsItIsTheSame) {
  StoredSubscriber recorder(*sim.hubs[0]);
  recorder.subscribe(sim.world, "s/#");
  TestPublisher publisher(sim, 8);
  const auto retain = [&](const std::string& payload) {
    ASSERT_TRUE(publisher.retain("s/r", payload));
    sim.world.run_until_idle();
  };
  retain("1");
  const Position first = recorder.got.back().position;
  Fetcher fetcher(hub);
  fetcher.subscribe(sim.world, "s/+", 5);
  const auto fetch = [&](Position position) {
    fetcher.done.reset();
    fetcher.fetch_retained("s/r", position);
    ASSERT_TRUE(sim.world.run_until([&] { return fetcher.done.has_value(); }));
  };
  fetch(first);
  retain("2");
  const Position second = recorder.got.back().position;
  fetch(first);
  fetch(second);
  sim.alter("s", {.partitions = 16});
  sim.world.run_until_idle();
  fetch(second);
  retain("");
  fetch(second);
  EXPECT_EQ(fetcher.got,
            (Strings{"s/r=1 retained", "gone", "s/r=2 retained", "s/r=2 retained", "gone"}));
  EXPECT_EQ(fetcher.ids, (Ids{{5}, {5}, {5}}));
}

TEST_P(Fetch, WhatIsNotThereIsSaidToBeGone) {
  const Partition mqtt = places[0].partition;
  Position last{};
  for (const Position& place : places)
    if (place.partition != mqtt) last = std::max(last, place);
  bool deleted = false;
  sim.stream().delete_records(mqtt, Offset{10}, [&](const Result<Offset>&) { deleted = true; });
  ASSERT_TRUE(sim.world.run_until([&] { return deleted; }));
  Fetcher fetcher(hub);
  run(fetcher, {{mqtt, Offset{3}},
                {mqtt, Offset{9}},
                places[250],
                {last.partition, last.offset + 1},
                {last.partition, last.offset + 1000},
                {{StreamId{1 << 20}, 0}, Offset{1}},
                {{last.partition.stream, 7}, Offset{1}},
                places[251]});
  EXPECT_EQ(fetcher.got,
            (Strings{"gone", "gone", texts[250], "gone", "gone", "gone", "gone", texts[251]}));
  EXPECT_EQ(fetcher.done, 8u);
  sim.stream().remove("s", [](const Result<void>&) {});
  sim.world.run_until_idle();
  fetcher.got.clear();
  run(fetcher, {last});
  EXPECT_EQ(fetcher.got, (Strings{"gone"}));
}

TEST_P(Fetch, WhoTakesNoMoreIsToldHowFarItCame) {
  Fetcher fetcher(hub);
  fetcher.room = 5;
  run(fetcher, {places.begin(), places.begin() + 20});
  EXPECT_EQ(fetcher.done, 5u);
  fetcher.room = 20;
  run(fetcher, {places.begin() + 5, places.begin() + 20});
  EXPECT_EQ(fetcher.done, 15u);
  EXPECT_EQ(fetcher.got, (Strings{texts.begin(), texts.begin() + 20}));
}

TEST_P(Fetch, NothingIsCalledOnceTheAskerHasGone) {
  Fetcher gone(hub), goes(hub);
  gone.fetch(places);
  gone.leave();
  goes.leave_at = 30;
  goes.fetch(places);
  sim.world.run_until_idle();
  EXPECT_TRUE(gone.got.empty());
  EXPECT_EQ(goes.got.size(), 30u);
  EXPECT_FALSE(gone.done || goes.done);
}

TEST_P(Fetch, RecordsAreGrantedByTheFiltersOfNow) {
  Fetcher fetcher(hub);
  run(fetcher, {of_topic("s/1")});
  EXPECT_EQ(fetcher.ids, Ids{});
  fetcher.subscribe(sim.world, "s/+", 5);
  fetcher.subscribe(sim.world, "#", 6);
  fetcher.subscribe(sim.world, "a3", 7);
  run(fetcher, {of_topic("s/1"), of_topic("a3"), of_topic("a4")});
  EXPECT_EQ(fetcher.ids, (Ids{{5}, {6, 7}, {6}})) << "'s' is not marked for wildcards";
}

TEST_P(Fetch, RecordsOfAReplayAreGrantedByItAsLongAsItIsThere) {
  Fetcher fetcher(hub);
  fetcher.subscribe(sim.world, "s/+", 5);
  fetcher.replay(sim.world, "$stream/s", 6);
  fetcher.replay(sim.world, "$stream/s/#", 7);
  run(fetcher, {of_topic("s/1")}, "$stream/s/#");
  run(fetcher, {of_topic("s/1")}, "$stream/s");
  run(fetcher, {of_topic("s/1")});
  fetcher.unsubscribe("$stream/s");
  run(fetcher, {of_topic("s/1")}, "$stream/s");
  EXPECT_EQ(fetcher.ids, (Ids{{7}, {6}, {5}, {5}}));
}

TEST_P(Fetch, NobodyAsksForNothing) {
  Fetcher fetcher(hub);
  run(fetcher, {});
  EXPECT_EQ(fetcher.done, 0u);
}

INSTANTIATE_TEST_SUITE_P(Shards, Fetch, ::testing::Values(0u, 1u));

}  // namespace
}  // namespace sluice::hub
