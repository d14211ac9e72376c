// Stored subscribers by seed: they come, go, are restored on any shard from a place of long ago,
// get stuck, add and remove filters, while streams come and go. Afterwards the log says what each
// must have got: from where it was restored on, all that matched its filters when its turn came,
// once, in order, and nothing that is older than the filter.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>

#include "hub/clients_test.h"
#include "hub/stored_subscriber_test.h"
#include "topic/topic.h"

namespace sluice::hub {
namespace {

using Filters = std::vector<StoredFilter>;

std::optional<Offset> find_in(const std::vector<Position>& positions, Partition partition) {
  for (const Position& position : positions)
    if (position.partition == partition) return position.offset;
  return std::nullopt;
}

bool matches(const Filters& filters, const std::string& topic, Position position) {
  return std::ranges::any_of(filters, [&](const StoredFilter& filter) {
    const auto since = find_in(filter.since, position.partition);
    return topic::matches(filter.text, topic) && (!since || position.offset >= *since);
  });
}

// From one restore to the next.
struct Life {
  struct Event {
    StoredSubscriber::Got got;
    Filters filters;  // at that time
  };
  Saved begin;
  std::vector<Event> events{};
  Saved end{};

  [[nodiscard]] Offset start(Partition partition) const {
    if (const auto next = find_in(begin.next, partition)) return *next;
    std::optional<Offset> lowest;
    for (const StoredFilter& filter : begin.filters)
      if (const auto since = find_in(filter.since, partition))
        lowest = std::min(lowest.value_or(*since), *since);
    return lowest.value_or(Offset{0});
  }
};

class Story {
 public:
  explicit Story(std::uint64_t seed)
      : sim_(seed, 2),
        random_(sim_.world.random()),
        recorder_(*sim_.hubs[0]),
        follower_(*sim_.hubs[1]) {
    sim_.create("s", {.partitions = 3, .wildcard = true});
    for (std::uint32_t shard = 0; shard < 2; ++shard)
      publishers_.push_back(std::make_unique<TestPublisher>(sim_, 10 + shard, shard));
    recorder_.subscribe(sim_.world, "#");
    if (seed % 2 == 0) follower_.subscribe(sim_.world, "#");
    recorder_.note = [this](const StoredSubscriber::Got& got) {
      log_[got.position.partition][got.position.offset] = got.topic;
    };
    begin_life({});
  }

  void run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      step();
      sim_.world.run_for(std::chrono::microseconds(random_.below(300)));
    }
    subscriber_->take_all();
    sim_.world.run_until_idle();
    end_life();
    for (const Life& life : lives_) check(life);
    for (const Position& next : lives_.back().end.next) {
      const auto& records = log_[next.partition];
      const bool is_at_end = records.empty() || next.offset > records.rbegin()->first;
      EXPECT_TRUE(is_at_end);
    }
  }
  [[nodiscard]] std::size_t deliveries() const {
    std::size_t count = 0;
    for (const Life& life : lives_) count += life.events.size();
    return count;
  }

 private:
  void step() {
    switch (random_.below(16)) {
      case 0:
        return reconnect();
      case 1:
        checkpoint_ = subscriber_->save().next;
        return;
      case 2:
        return add_filter();
      case 3:
        return subscriber_->unsubscribe(any_filter());
      case 4:
        return toggle_stream();
      case 5:
      case 6:
        return subscriber_->take(random_.below(6));
      case 7:
        return subscriber_->take_all();
      default:
        for (auto n = random_.below(6); n > 0; --n) publish();
    }
  }

  std::string any_filter() {
    const std::vector<std::string> all = {"#", "s/#", "s/1", "+/1", "t/#", "a/+", "a/1", "t/2"};
    return all[random_.below(all.size())];
  }
  void publish() {
    const std::vector<std::string> levels = {"a", "s", "s", "t"};
    const std::string topic =
        levels[random_.below(levels.size())] + '/' + std::to_string(random_.below(6));
    EXPECT_TRUE(publishers_[random_.below(2)]->publish(topic, std::to_string(++published_)));
  }
  // While nothing is on its way, so that it is known from where on the filter counts.
  void add_filter() {
    sim_.world.run_until_idle();
    subscriber_->subscribe(sim_.world, any_filter());
  }
  void toggle_stream() {
    if (!sim_.stream().catalogue().find("t"))
      return sim_.stream().create("t", {.partitions = 2, .wildcard = true},
                                  [](const Result<stream::StreamInfo>&) {});
    if (random_.one_in(2)) sim_.stream().remove("t", [](const Result<void>&) {});
  }

  void reconnect() {
    end_life();
    Saved saved = lives_.back().end;
    // The filters are always known; how far it had come perhaps only from before.
    if (random_.one_in(2)) saved.next = checkpoint_;
    if (random_.one_in(2)) {  // else it comes back so soon that the other shard knows less than it
      for (auto n = random_.below(20); n > 0; --n) publish();
      if (random_.one_in(4)) toggle_stream();
      sim_.world.run_for(std::chrono::microseconds(random_.below(2000)));
    }
    begin_life(std::move(saved));
    checkpoint_ = lives_.back().begin.next;
    sim_.world.run_for(std::chrono::microseconds(random_.below(500)));
    if (random_.one_in(2)) sim_.world.run_until([this] { return subscriber_->restored; });
    subscriber_->take(random_.one_in(2) ? random_.below(6) : 1'000'000);
  }
  void begin_life(Saved saved) {
    Hub& hub = *sim_.hubs[random_.below(2)];
    if (lives_.empty())
      subscriber_ = std::make_unique<StoredSubscriber>(hub);
    else
      subscriber_ = std::make_unique<StoredSubscriber>(hub, saved);
    lives_.push_back({.begin = std::move(saved)});
    subscriber_->note = [this](const StoredSubscriber::Got& got) {
      lives_.back().events.push_back({got, subscriber_->filters()});
    };
  }
  void end_life() {
    lives_.back().end = subscriber_->save();
    subscriber_.reset();
  }

  void check(const Life& life) {
    for (const auto& [partition, records] : log_) {
      Offset reached = life.start(partition);
      for (const auto& [got, filters] : life.events) {
        if (got.position.partition != partition) continue;
        ASSERT_GE(got.position.offset, reached) << "it had that: " << got.topic;
        ASSERT_TRUE(matches(filters, got.topic, got.position)) << got.topic;
        check_gap(partition, reached, got.position.offset, filters);
        reached = got.position.offset + 1;
      }
      const auto end = find_in(life.end.next, partition);
      if (!end) continue;
      ASSERT_GE(*end, reached) << "it had come further";
      check_gap(partition, reached, *end, life.end.filters);
    }
  }
  // Nothing that matches lies between what it got.
  void check_gap(Partition partition, Offset from, Offset until, const Filters& filters) {
    const auto& records = log_[partition];
    for (auto it = records.lower_bound(from); it != records.end() && it->first < until; ++it)
      ASSERT_FALSE(matches(filters, it->second, {partition, it->first}))
          << it->second << " at " << it->first.value << " was left out";
  }

  SimHub sim_;
  Random& random_;
  StoredSubscriber recorder_;
  StoredSubscriber follower_;  // so that both shards follow the streams, or only one
  std::map<Partition, std::map<Offset, std::string>> log_;
  std::vector<std::unique_ptr<TestPublisher>> publishers_;
  std::unique_ptr<StoredSubscriber> subscriber_;
  std::vector<Life> lives_;
  std::vector<Position> checkpoint_;
  int published_ = 0;
};

TEST(RestoreBySeed, ASubscriberGetsWhatOneThatNeverWentWouldHaveGot) {
  std::size_t deliveries = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    Story story(seed);
    story.run(200);
    if (HasFailure()) return;
    deliveries += story.deliveries();
  }
  EXPECT_GT(deliveries, 10'000u) << "the test tests something";
}

}  // namespace
}  // namespace sluice::hub
