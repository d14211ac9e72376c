// Members of a shared subscription with stored sessions come, go, and take each other's place at
// random, on a hub that crashes at random: at QoS 2 each message reaches exactly one of them, once.
// SLUICE_SEEDS and SLUICE_SEED as in stored_random_test.cc.

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "base/logger.h"
#include "mqtt/stored_world_test.h"
#include "sim/seeds.h"

namespace sluice::mqtt {
namespace {

using namespace std::chrono_literals;

const std::string shared = "$share/g/t/#";

class World : public StoredWorld {
 public:
  World(std::uint64_t seed, Omissions omit) : StoredWorld(seed, omit, 24h) { hold(); }

  // What has gone wrong, if anything.
  std::optional<std::string> run() {
    for (int i = 0; i < 150; ++i) act();
    settle();
    return violation();
  }

 private:
  // The first client stays a member, whether it is connected or not.
  void hold() {
    connect(clients_.front());
    while (!clients_.front().connected()) step(true);
    clients_.front().subscribe(shared);
    while (!clients_.front().idle()) step(true);
  }

  void act() {
    const auto which = random_.below(clients_.size());
    ModelClient& client = clients_[which];
    const auto chance = random_.below(100);
    if (chance < 3) {
      crash();
    } else if (!client.online() || chance < 7) {
      connect(client);  // or take it over
    } else if (chance < 14) {
      client.cut();
    } else if (client.connected()) {
      if (chance < 18)
        client.disconnect();
      else if (chance < 35 && which > 0)
        client.subscribe(shared);
      else if (chance < 40 && which > 0)
        client.unsubscribe(shared);
      else
        client.publish();
    }
    step(false);
  }

  // How often each message has come, by topic and number.
  [[nodiscard]] std::map<std::pair<std::string, int>, int> received() const {
    std::map<std::pair<std::string, int>, int> all;
    for (const ModelClient& client : clients_)
      for (const auto& [topic, numbers] : client.received())
        for (const int number : numbers) ++all[{topic, number}];
    return all;
  }

  [[nodiscard]] std::optional<std::string> violation() const {
    if (settling_ > settling_max) return "the exchanges did not end";
    const auto all = received();
    for (const ModelClient& client : clients_) {
      if (!client.failures().empty()) return client.failures().front();
      for (int number = 0; number < client.published(); ++number) {
        const auto found = all.find({client.topic(), number});
        const int times = found == all.end() ? 0 : found->second;
        if (times != 1) return fmt::format("{} {} came {} times", client.topic(), number, times);
      }
    }
    return std::nullopt;
  }
};

class SharedStoredRandom : public testing::Test {
 protected:
  void SetUp() override { Logger::set_level(LogLevel::off); }
  void TearDown() override { Logger::set_level(LogLevel::info); }
};

TEST_F(SharedStoredRandom, AtQos2EachMessageReachesOneMemberOnceWhateverHappens) {
  for (const std::uint64_t seed : sim::seeds({.optimized = 500, .plain = 100, .sanitized = 100})) {
    World world(seed, {});
    const auto violation = world.run();
    ASSERT_FALSE(violation) << "SLUICE_SEED=" << seed << ": " << *violation;
  }
}

TEST_F(SharedStoredRandom, NoticesIfAPacketLeavesBeforeItIsDurable) {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    World world(seed, {.publish = true});
    if (world.run()) return;
  }
  FAIL() << "500 seeds have not noticed";
}

}  // namespace
}  // namespace sluice::mqtt
