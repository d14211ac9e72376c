#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "hub/clients_test.h"
#include "hub/sim_hub_test.h"
#include "topic/topic.h"

namespace sluice::hub {
namespace {

using Strings = std::vector<std::string>;
using Got = TestSubscriber::Got;

constexpr SubscribeOptions retained{.qos = 1, .send_retained = true};

Strings retained_payloads(const TestSubscriber& subscriber) {
  Strings all;
  for (const Got& one : subscriber.got)
    if (one.origin == Origin::retained) all.push_back(one.payload);
  return all;
}

// Publishes and waits until it is durable.
void publish_all(SimHub& sim, TestPublisher& publisher, const Strings& topics) {
  const std::uint64_t until = publisher.durable + topics.size();
  for (const std::string& topic : topics) {
    while (!publisher.retain(topic, topic))
      ASSERT_TRUE(
          sim.world.run_until([&] { return publisher.durable + 1 > until - topics.size(); }));
  }
  ASSERT_TRUE(sim.world.run_until([&] { return publisher.durable == until; }));
}

TEST(Retained, ANewSubscriptionGetsTheNewestOfEachTopicThatItCovers) {
  SimHub sim(1);
  TestPublisher publisher(sim, 7);
  for (const auto& [topic, payload] :
       {std::pair{"a/x", "old"}, {"a/x", "1"}, {"a/y", "2"}, {"b", "3"}, {"a/z", "4"}, {"a/z", ""}})
    ASSERT_TRUE(publisher.retain(topic, payload));
  ASSERT_TRUE(publisher.publish("a/y", "live"));
  ASSERT_TRUE(sim.world.run_until([&] { return publisher.durable == 7; }));
  TestSubscriber with(*sim.hubs[0]), without(*sim.hubs[0]);
  with.subscribe(sim.world, "a/#", {.qos = 1, .send_retained = true, .id = 5});
  without.subscribe(sim.world, "a/#", {.qos = 1});
  sim.world.run_until_idle();
  EXPECT_EQ(with.payloads(), (Strings{"1", "2"}));
  EXPECT_EQ(with.got[0].topic, "a/x");
  EXPECT_EQ(with.got[0].origin, Origin::retained);
  EXPECT_EQ(with.got[0].ids, std::vector<std::uint32_t>{5});
  EXPECT_TRUE(without.got.empty());
  ASSERT_TRUE(publisher.retain("a/x", "new"));
  ASSERT_TRUE(sim.world.run_until([&] { return publisher.durable == 8; }));
  EXPECT_EQ(with.payloads(), (Strings{"1", "2", "new"}));
  EXPECT_EQ(with.got.back().origin, Origin::log) << "it is live again";
}

TEST(Retained, WhoHasSeenAnAcknowledgementFindsTheMessageFromAnyShard) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SimHub sim(seed, 3);
    sim.create("s", {.partitions = 8});
    TestPublisher publisher(sim, 7, 1);
    TestSubscriber subscriber(*sim.hubs[2]);
    ASSERT_TRUE(publisher.retain("s/a", "1"));
    ASSERT_TRUE(sim.world.run_until([&] { return publisher.durable == 1; }));
    subscriber.subscribe(sim.world, "s/+", retained);
    sim.world.run_until_idle();
    EXPECT_EQ(retained_payloads(subscriber), Strings{"1"});
  }
}

TEST(Retained, AGrantIsThatOfTheOneFilter) {
  SimHub sim(2);
  TestPublisher publisher(sim, 7);
  publish_all(sim, publisher, {"a"});
  TestSubscriber subscriber(*sim.hubs[0]);
  subscriber.subscribe(sim.world, "#", {.qos = 1, .id = 1});
  subscriber.subscribe(sim.world, "a", {.qos = 0, .send_retained = true, .id = 2});
  sim.world.run_until_idle();
  ASSERT_EQ(subscriber.got.size(), 1u);
  EXPECT_EQ(subscriber.got[0].qos, 0);
  EXPECT_EQ(subscriber.got[0].ids, std::vector<std::uint32_t>{2});
}

TEST(Retained, NoLocalLeavesOutWhatTheSubscriberItselfPublished) {
  SimHub sim(2);
  TestPublisher own(sim, 42), other(sim, 43);
  publish_all(sim, own, {"own"});
  publish_all(sim, other, {"other"});
  TestSubscriber subscriber(*sim.hubs[0], 42);
  subscriber.subscribe(sim.world, "#", {.qos = 1, .no_local = true, .send_retained = true});
  sim.world.run_until_idle();
  EXPECT_EQ(subscriber.payloads(), Strings{"other"});
}

TEST(Retained, ManyComeInPortionsAndAsFastAsTheyAreTaken) {
  log::Options roomy = SimHub::small_log();
  roomy.journal_size = 4 << 20;
  SimHub sim(3, 2, roomy);
  sim.create("s", {.partitions = 3});
  TestPublisher publisher(sim, 7);
  std::set<std::string> topics;
  for (int i = 0; i < 3500; ++i)
    topics.insert("s/" + std::to_string(i % 50) + "/" + std::to_string(i));
  publish_all(sim, publisher, {topics.begin(), topics.end()});
  TestSubscriber subscriber(*sim.hubs[0]);
  subscriber.stop();
  subscriber.subscribe(sim.world, "s/#", retained);
  while (subscriber.got.size() < topics.size()) {
    const std::size_t before = subscriber.got.size();
    subscriber.take(701);
    ASSERT_TRUE(sim.world.run_until([&] {
      return subscriber.got.size() == std::min(before + 701, topics.size());
    })) << subscriber.got.size();
  }
  sim.world.run_until_idle();
  EXPECT_EQ(subscriber.got.size(), topics.size());
  std::set<std::string> got;
  for (const Got& one : subscriber.got) got.insert(one.topic);
  EXPECT_EQ(got, topics);
  subscriber.got.clear();
  subscriber.take(1000);
  ASSERT_TRUE(publisher.publish("s/1/1", "live"));
  ASSERT_TRUE(sim.world.run_until([&] { return !subscriber.got.empty(); }));
  EXPECT_EQ(subscriber.payloads(), Strings{"live"});
}

TEST(Retained, WhatHasExpiredIsNeitherSentNorKept) {
  SimHub sim(4);
  TestPublisher publisher(sim, 7);
  ASSERT_TRUE(publisher.retain("short", "1", 10));
  ASSERT_TRUE(publisher.retain("long", "2", 10'000));
  ASSERT_TRUE(sim.world.run_until([&] { return publisher.durable == 2; }));
  sim.world.run_for(std::chrono::seconds(9));
  TestSubscriber early(*sim.hubs[0]);
  early.subscribe(sim.world, "#", retained);
  sim.world.run_for(std::chrono::milliseconds(100));
  EXPECT_EQ(early.payloads(), (Strings{"2", "1"}));
  sim.world.run_for(std::chrono::minutes(2));
  TestSubscriber late(*sim.hubs[0]);
  late.subscribe(sim.world, "#", retained);
  sim.world.run_for(std::chrono::milliseconds(100));
  EXPECT_EQ(late.payloads(), Strings{"2"});
  EXPECT_EQ(sim.metrics[0].gauge("sluice_retained_entries", "").value(), 1);
}

TEST(Retained, RemovedOrReplacedFiltersEndTheirSnapshots) {
  SimHub sim(5);
  TestPublisher publisher(sim, 7);
  Strings topics;
  for (int i = 0; i < 100; ++i) topics.push_back("a/" + std::to_string(i));
  publish_all(sim, publisher, topics);
  TestSubscriber subscriber(*sim.hubs[0]);
  subscriber.stop();
  subscriber.take(10);
  subscriber.subscribe(sim.world, "a/#", retained);
  sim.world.run_until_idle();
  EXPECT_EQ(subscriber.got.size(), 10u);
  // The whole again, for it is asked for again.
  subscriber.subscribe(sim.world, "a/#", {.qos = 1, .send_retained = true, .id = 3});
  subscriber.take(50);
  ASSERT_TRUE(sim.world.run_until([&] { return subscriber.got.size() == 60; }));
  EXPECT_EQ(subscriber.got[10].topic, subscriber.got[0].topic);
  EXPECT_EQ(subscriber.got[10].ids, std::vector<std::uint32_t>{3});
  EXPECT_TRUE(subscriber.unsubscribe("a/#"));
  subscriber.take(1000);
  subscriber.subscribe(sim.world, "b", {});
  ASSERT_TRUE(publisher.publish("b", "live"));
  ASSERT_TRUE(sim.world.run_until([&] { return subscriber.got.size() > 60; }));
  sim.world.run_until_idle();
  EXPECT_EQ(subscriber.got.size(), 61u) << "nothing is left of the snapshot";
  EXPECT_EQ(subscriber.got.back().payload, "live");
}

TEST(Retained, ASnapshotOutlivesTheStreamsItReads) {
  SimHub sim(6, 2);
  sim.create("s", {.partitions = 4, .wildcard = true});
  TestPublisher publisher(sim, 7);
  publish_all(sim, publisher, {"s/a", "s/b", "s/c", "a"});
  TestSubscriber subscriber(*sim.hubs[0]);
  subscriber.stop();
  subscriber.subscribe(sim.world, "#", retained);
  sim.world.run_until_idle();
  sim.stream().remove("s", [](const Result<void>& removed) { EXPECT_TRUE(removed); });
  sim.world.run_until_idle();
  subscriber.take(100);
  ASSERT_TRUE(sim.world.run_until([&] { return !subscriber.got.empty(); }));
  ASSERT_TRUE(publisher.publish("a", "live"));
  ASSERT_TRUE(sim.world.run_until([&] { return subscriber.got.back().payload == "live"; }));
  EXPECT_EQ(subscriber.payloads(), (Strings{"a", "live"}));
  // A stream of the same name has nothing of the removed one.
  sim.create("s", {.partitions = 2, .wildcard = true});
  TestSubscriber late(*sim.hubs[1]);
  late.subscribe(sim.world, "#", retained);
  sim.world.run_until_idle();
  EXPECT_EQ(late.payloads(), Strings{"a"});
}

TEST(Retained, MessagesMoveToAStreamThatTakesTheirTopics) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SimHub sim(seed, 3);
    TestPublisher publisher(sim, 7, 1);
    publish_all(sim, publisher, {"s/a", "s/b", "s/c", "s", "sa", "t/a"});
    sim.create("s", {.partitions = 4});
    ASSERT_TRUE(publisher.retain("s/b", "new"));
    ASSERT_TRUE(publisher.retain("s/c", ""));
    ASSERT_TRUE(sim.world.run_until([&] { return publisher.durable == 8; }));
    const auto see = [&](const std::string& filter) {
      TestSubscriber subscriber(*sim.hubs[seed % 3]);
      subscriber.subscribe(sim.world, filter, retained);
      sim.world.run_for(std::chrono::milliseconds(500));
      Strings all = subscriber.payloads();
      std::ranges::sort(all);
      return all;
    };
    EXPECT_EQ(see("s/#"), (Strings{"new", "s", "s/a"})) << seed;
    sim.alter("s", {.partitions = 16});
    EXPECT_EQ(see("s/#"), (Strings{"new", "s", "s/a"})) << seed;
    EXPECT_EQ(see("s/a"), Strings{"s/a"}) << seed << ": it is where its topic is routed now";
    EXPECT_EQ(see("#"), (Strings{"s", "sa", "t/a"})) << seed;
  }
}

// --- by seed

// What was published to a topic, and what a subscriber may get of it.
struct Topic {
  struct Op {
    std::string payload;  // empty: cleared
    bool retain = false;
    std::optional<WallMs> expires{};
  };
  std::vector<Op> ops;
  std::size_t gone_before = 0;  // what is retained of earlier ones was removed with its stream

  // What is retained after the first `count` of them.
  [[nodiscard]] const Op* retained_after(std::size_t count) const {
    for (std::size_t i = count; i > gone_before; --i)
      if (ops[i - 1].retain) return ops[i - 1].payload.empty() ? nullptr : &ops[i - 1];
    return nullptr;
  }
  // One that replaced what was retained, perhaps before it was sent.
  [[nodiscard]] bool has_retained_from(std::size_t first) const {
    return std::any_of(ops.begin() + static_cast<std::ptrdiff_t>(first), ops.end(),
                       [](const Op& op) { return op.retain; });
  }
};

class RetainedWorld {
 public:
  explicit RetainedWorld(std::uint64_t seed)
      : seed_(seed), random_(seed), machine_(std::make_shared<SimMachine>(seed)) {
    start();
  }
  ~RetainedWorld() { drop_clients(); }

  void run() {
    for (int step = 0; step < 250 && !::testing::Test::HasFailure(); ++step) {
      const std::uint64_t what = random_.below(100);
      if (what < 55) {
        publish();
      } else if (what < 70) {
        subscribe();
      } else if (what < 85) {
        sim_->world.run_for(std::chrono::microseconds(random_.below(5000)));
      } else if (what < 93) {
        for (auto& reader : readers_)
          if (random_.one_in(2)) reader->sink.take(random_.below(6));
      } else if (what < 95) {
        sim_->world.run_for(std::chrono::seconds(random_.below(30)));
      } else if (what < 98) {
        settle();
        change_streams();
      } else {
        restart();
      }
    }
    settle();
  }

 private:
  struct Reader {
    Reader(Hub& hub, std::string its_filter) : sink(hub), filter(std::move(its_filter)) {}
    TestSubscriber sink;
    std::string filter;
    std::map<std::string, std::size_t> known;  // ops that there were before it subscribed, by topic
    WallMs since = 0;
  };

  void start() {
    const auto shards = static_cast<std::uint32_t>(1 + random_.below(3));
    sim_ = std::make_unique<SimHub>(seed_++, shards, SimHub::small_log(), machine_);
    if (now_ > sim_->world.now()) sim_->world.run_for(now_ - sim_->world.now());
    // Each topic has one publisher, so that it has an order.
    for (std::size_t i = 0; i < names_.size(); ++i)
      publishers_.push_back(std::make_unique<TestPublisher>(
          *sim_, i + 1, static_cast<std::uint32_t>(random_.below(shards))));
    acked_base_.assign(names_.size(), 0);
    for (std::size_t i = 0; i < names_.size(); ++i) acked_base_[i] = topics_[names_[i]].ops.size();
  }

  [[nodiscard]] WallMs now() const { return sim_->world.loop(0).wall_ms(); }

  void drop_clients() {
    readers_.clear();
    publishers_.clear();
  }

  void publish() {
    const std::size_t which = random_.below(names_.size());
    const std::string& name = names_[which];
    Topic& topic = topics_[name];
    Topic::Op op;
    op.retain = !random_.one_in(5);
    if (!op.retain || !random_.one_in(5))
      op.payload = std::to_string(topic.ops.size()) + std::string(random_.below(700), '.');
    std::optional<std::uint32_t> expiry;
    if (random_.one_in(6)) expiry = 1 + static_cast<std::uint32_t>(random_.below(30));
    if (expiry) op.expires = now() + *expiry * 1000;
    const Message message{.topic = name,
                          .payload = as_bytes(op.payload),
                          .qos = 1,
                          .retain = op.retain,
                          .expiry_s = expiry};
    if (publishers_[which]->publish(message)) topic.ops.push_back(op);
  }

  void subscribe() {
    Hub& hub = *sim_->hubs[random_.below(sim_->hubs.size())];
    auto reader = std::make_unique<Reader>(hub, filters_[random_.below(filters_.size())]);
    reader->since = now();
    // What is acknowledged now, it must know.
    for (std::size_t i = 0; i < names_.size(); ++i)
      reader->known[names_[i]] = acked_base_[i] + publishers_[i]->durable;
    if (random_.one_in(3)) reader->sink.stop();
    reader->sink.start_subscribe(reader->filter, retained);
    readers_.push_back(std::move(reader));
  }

  // Everything published is durable and delivered; then the readers are judged and go.
  void settle() {
    for (auto& reader : readers_) reader->sink.take(1'000'000);
    ASSERT_TRUE(sim_->world.run_until([&] {
      for (std::size_t i = 0; i < names_.size(); ++i)
        if (acked_base_[i] + publishers_[i]->durable < topics_[names_[i]].ops.size()) return false;
      return true;
    }));
    sim_->world.run_for(std::chrono::seconds(2));
    for (const auto& reader : readers_) judge(*reader);
    readers_.clear();
  }

  // Of each topic: what was retained at some moment after the subscription, if anything was, and
  // then all that was published from that moment on.
  void judge(const Reader& reader) {
    ASSERT_EQ(reader.sink.subscribed, 1) << reader.filter;
    for (const std::string& name : names_) {
      const Topic& topic = topics_[name];
      std::vector<const Got*> got;
      for (const Got& one : reader.sink.got)
        if (one.topic == name) got.push_back(&one);
      if (!topic::matches(reader.filter, name)) {
        EXPECT_TRUE(got.empty()) << describe(reader, name);
        continue;
      }
      const auto first_live = std::ranges::find(got, Origin::log, &Got::origin);
      const auto retained_count = static_cast<std::size_t>(first_live - got.begin());
      const std::size_t live = got.size() - retained_count;
      ASSERT_LE(live, topic.ops.size()) << describe(reader, name);
      const std::size_t split = topic.ops.size() - live;
      for (std::size_t i = 0; i < live; ++i) {
        ASSERT_EQ(got[retained_count + i]->origin, Origin::log) << describe(reader, name);
        ASSERT_EQ(got[retained_count + i]->payload, topic.ops[split + i].payload)
            << describe(reader, name);
      }
      EXPECT_GE(split, reader.known.at(name))
          << describe(reader, name) << "older than it asked for";
      const Topic::Op* wanted = topic.retained_after(split);
      ASSERT_LE(retained_count, wanted ? 1u : 0u) << describe(reader, name);
      if (retained_count == 1) {
        EXPECT_EQ(got[0]->payload, wanted->payload) << describe(reader, name);
        EXPECT_TRUE(!wanted->expires || *wanted->expires > reader.since) << describe(reader, name);
      } else if (wanted && !topic.has_retained_from(split)) {
        EXPECT_TRUE(wanted->expires && *wanted->expires <= now())
            << describe(reader, name) << " misses " << wanted->payload.substr(0, 6);
      }
    }
  }

  std::string describe(const Reader& reader, const std::string& name) {
    std::string text = "filter " + reader.filter + ", topic " + name + ": ";
    for (const Got& one : reader.sink.got)
      if (one.topic == name)
        text += (one.origin == Origin::retained ? "r" : "") + one.payload.substr(0, 6) + " ";
    return text + "of " + std::to_string(topics_[name].ops.size()) + " ";
  }

  void change_streams() {
    const auto* stream = sim_->stream().catalogue().find("s");
    if (!stream) {
      make({.partitions = 1 + static_cast<std::uint32_t>(random_.below(3)), .wildcard = true});
    } else if (stream->config.partitions < 6 && random_.one_in(2)) {
      sim_->alter("s", {.partitions = stream->config.partitions + 2, .wildcard = true});
    } else {
      bool removed = false;
      sim_->stream().remove("s", [&](const Result<void>& done) { removed = done.has_value(); });
      ASSERT_TRUE(sim_->world.run_until([&] { return removed; }));
      for (const std::string& name : names_)
        if (name.starts_with("s/")) topics_[name].gone_before = topics_[name].ops.size();
    }
  }
  void make(const stream::StreamConfig& config) { sim_->create("s", config); }

  // Stopped, or without a warning; then what was acknowledged is found by the first who asks.
  void restart() {
    std::vector<std::size_t> acked;
    for (std::size_t i = 0; i < names_.size(); ++i)
      acked.push_back(acked_base_[i] + publishers_[i]->durable);
    if (random_.one_in(3)) {
      settle();
      for (auto& latest : sim_->latests) stop(*latest);
      for (std::size_t i = 0; i < names_.size(); ++i) acked[i] = topics_[names_[i]].ops.size();
      power_off();
    } else {
      power_off();
      machine_->crash();
      if (random_.one_in(4)) machine_->store = std::make_shared<table::MemoryStore>();
    }
    start();
    find_what_survived(acked);
  }
  void power_off() {
    now_ = sim_->world.now();
    sim_->world.power_off();
    drop_clients();
    sim_.reset();
  }
  void stop(latest::Latest& latest) {
    bool stopped = false;
    latest.stop([&](const Result<void>& done) { stopped = done.has_value(); });
    ASSERT_TRUE(sim_->world.run_until([&] { return stopped; }));
  }

  void find_what_survived(const std::vector<std::size_t>& acked) {
    TestSubscriber subscriber(*sim_->hubs[random_.below(sim_->hubs.size())]);
    subscriber.start_subscribe("#", retained);
    sim_->world.run_for(std::chrono::seconds(2));
    for (std::size_t i = 0; i < names_.size(); ++i) {
      Topic& topic = topics_[names_[i]];
      const auto found = std::ranges::find(subscriber.got, names_[i], &Got::topic);
      const WallMs time = now();
      std::size_t count = acked[i];
      const auto fits = [&] {
        const Topic::Op* op = topic.retained_after(count);
        if (found == subscriber.got.end()) return !op || (op->expires && *op->expires <= time);
        return op && op->payload == found->payload;
      };
      while (count < topic.ops.size() && !fits()) ++count;
      EXPECT_TRUE(fits()) << names_[i] << " acknowledged " << acked[i] << " of " << topic.ops.size()
                          << ", found "
                          << (found == subscriber.got.end() ? "nothing"
                                                            : found->payload.substr(0, 6));
      topic.ops.resize(std::max(count, topic.gone_before));
      acked_base_[i] = topic.ops.size();
    }
  }

  const Strings names_ = {"a",   "a/1", "a/1/x", "b/1",   "b//1", "s",
                          "s/1", "s/2", "s/a/1", "s/a/2", "s/",   "/a"};
  const Strings filters_ = {"#",   "a/#", "+/1",   "s/+", "s/#",   "+/+/+", "a/1",
                            "s/1", "/+",  "s/a/1", "s",   "+/a/+", "b/+/1"};
  std::uint64_t seed_;
  runtime::TimePoint now_{};  // at the last stop: the clock does not go back
  Random random_;
  std::shared_ptr<SimMachine> machine_;
  std::unique_ptr<SimHub> sim_;
  std::vector<std::unique_ptr<TestPublisher>> publishers_;
  std::vector<std::size_t> acked_base_;  // ops of earlier lives
  std::vector<std::unique_ptr<Reader>> readers_;
  std::map<std::string, Topic> topics_;
};

class RetainedBySeed : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(RetainedBySeed, EverySubscriptionGetsTheRetainedAndThenAllThatFollows) {
  RetainedWorld(GetParam()).run();
}

INSTANTIATE_TEST_SUITE_P(Seeds, RetainedBySeed, ::testing::Range<std::uint64_t>(1, 101));

}  // namespace
}  // namespace sluice::hub
