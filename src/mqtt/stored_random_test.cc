// Clients with stored sessions do at random what clients do, on a hub that crashes at random, and
// exactly what was published at QoS 2 arrives at QoS 2. SLUICE_SEEDS sets how many seeds are run; a
// failing one is printed and can be run alone by SLUICE_SEED.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/logger.h"
#include "mqtt/stored_world_test.h"
#include "sim/seeds.h"
#include "topic/topic.h"

namespace sluice::mqtt {
namespace {

using namespace std::chrono_literals;

constexpr auto expiry = 1h;

class World : public StoredWorld {
 public:
  World(std::uint64_t seed, Omissions omit) : StoredWorld(seed, omit, expiry) {}

  // What has gone wrong, if anything.
  std::optional<std::string> run() {
    for (int i = 0; i < 150; ++i) act();
    settle();
    return violation();
  }

 private:
  ModelClient& any() { return clients_[random_.below(clients_.size())]; }
  std::string any_filter() {
    constexpr std::array filters = {"#", "t/#", "t/0", "t/1", "+/2", "t/+"};
    return filters[random_.below(filters.size())];
  }

  void act() {
    ModelClient& client = any();
    const auto chance = random_.below(100);
    if (chance < 3) {
      crash();
    } else if (chance < 4) {
      let_expire();
    } else if (!client.online()) {
      connect(client, random_.one_in(30));
    } else if (!client.may_leave()) {
      // it waits for its CONNACK
    } else if (chance < 8) {
      connect(client);  // a take-over
    } else if (chance < 12) {
      client.cut();
    } else if (client.connected()) {
      if (chance < 15)
        client.disconnect();
      else if (chance < 35)
        client.subscribe(any_filter());
      else if (chance < 40)
        client.unsubscribe(any_filter());
      else
        client.publish();
    }
    step(false);
  }

  void let_expire() {
    if (!std::ranges::all_of(clients_, &ModelClient::may_leave)) return;
    for (ModelClient& client : clients_) client.cut();
    broker_->hub.world.run_for(expiry + 2min);
    for (ModelClient& client : clients_) client.expire();
  }

  [[nodiscard]] std::optional<std::string> violation() const {
    if (settling_ > settling_max) return "the exchanges did not end";
    for (const ModelClient& client : clients_) {
      if (!client.failures().empty()) return client.failures().front();
      for (const auto& [topic, numbers] : client.received())
        for (std::size_t i = 1; i < numbers.size(); ++i)
          if (numbers[i] <= numbers[i - 1])
            return fmt::format("{} to the reader of {}: {} after {}", topic, client.topic(),
                               numbers[i], numbers[i - 1]);
      if (auto lost = find_lost(client)) return lost;
    }
    return std::nullopt;
  }

  [[nodiscard]] std::optional<std::string> find_lost(const ModelClient& client) const {
    for (const auto& [text, filter] : client.filters()) {
      if (!filter.granted) continue;
      for (const ModelClient* publisher : publishers_) {
        if (!topic::matches(text, publisher->topic())) continue;
        const auto found = client.received().find(publisher->topic());
        for (int number = filter.from.at(publisher->topic()); number < publisher->published();
             ++number)
          if (publisher->is_certain(number) &&
              (found == client.received().end() ||
               std::ranges::find(found->second, number) == found->second.end()))
            return fmt::format("{} {} did not reach the reader of {} by {}", publisher->topic(),
                               number, client.topic(), text);
      }
    }
    return std::nullopt;
  }
};

class StoredRandom : public testing::Test {
 protected:
  void SetUp() override { Logger::set_level(LogLevel::off); }
  void TearDown() override { Logger::set_level(LogLevel::info); }
};

TEST_F(StoredRandom, AtQos2NothingIsLostDoubledOrOutOfOrderWhateverHappens) {
  for (const std::uint64_t seed : sim::seeds({.optimized = 500, .plain = 100, .sanitized = 100})) {
    World world(seed, {});
    const auto violation = world.run();
    ASSERT_FALSE(violation) << "SLUICE_SEED=" << seed << ": " << *violation;
  }
}

class StoredRandomNotices : public StoredRandom,
                            public testing::WithParamInterface<std::pair<const char*, Omissions>> {
};

TEST_P(StoredRandomNotices, WhatIsNotDurableWhenAPacketLeaves) {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    World world(seed, GetParam().second);
    if (world.run()) return;
  }
  FAIL() << "500 seeds have not noticed";
}

INSTANTIATE_TEST_SUITE_P(Omitted, StoredRandomNotices,
                         testing::Values(std::pair("Evidence", Omissions{.evidence = true}),
                                         std::pair("Publish", Omissions{.publish = true}),
                                         std::pair("Pubrel", Omissions{.pubrel = true}),
                                         std::pair("Pubcomp", Omissions{.pubcomp = true})),
                         [](const auto& instance) { return std::string(instance.param.first); });

}  // namespace
}  // namespace sluice::mqtt
