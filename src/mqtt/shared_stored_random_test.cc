// Members of a shared subscription with stored sessions come, go, and take each other's place at
// random, on a hub that crashes at random: at QoS 2 each message reaches exactly one of them, once.
// SLUICE_SEEDS and SLUICE_SEED as in stored_random_test.cc.

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "base/logger.h"
#include "mqtt/model_client_test.h"
#include "mqtt/stored_broker_test.h"
#include "sim/seeds.h"

namespace sluice::mqtt {
namespace {

using namespace std::chrono_literals;

const std::string shared = "$share/g/t/#";
constexpr int settling_max = 5000;

class World {
 public:
  World(std::uint64_t seed, Omissions omit)
      : random_(seed), seed_(seed), machine_(std::make_shared<hub::SimMachine>(seed)) {
    options_.limits.session_expiry_max_s = 86'400;
    options_.limits.max_inflight = static_cast<std::uint16_t>(1 + random_.below(20));
    options_.omit = omit;
    start();
    for (int i = 0; i < 4; ++i)
      clients_.emplace_back(fmt::format("client{}", i), fmt::format("t/{}", i));
    for (const ModelClient& client : clients_) publishers_.push_back(&client);
    hold();
  }
  ~World() { end_world(); }

  // What has gone wrong, if anything.
  std::optional<std::string> run() {
    for (int i = 0; i < 150; ++i) act();
    settle();
    return violation();
  }

 private:
  void start() {
    const auto shards = static_cast<std::uint32_t>(1 + random_.below(2));
    broker_ = std::make_unique<StoredBroker>(++seed_ * 1000, shards, machine_, options_, passed_);
    started_ = broker_->hub.world.now();
  }
  void end_world() {
    for (ModelClient& client : clients_) client.cut();
    broker_->hub.world.power_off();
    passed_ += broker_->hub.world.now() - started_ + 1s;
    broker_.reset();
  }
  void crash() {
    end_world();
    machine_->crash();
    start();
  }
  // The first client stays a member, whether it is connected or not.
  void hold() {
    connect(clients_.front());
    while (!clients_.front().connected()) step(true);
    clients_.front().subscribe(shared);
    while (!clients_.front().idle()) step(true);
  }

  void connect(ModelClient& client) {
    auto& endpoints = broker_->endpoints;
    auto wire = broker_->hub.world.connect(endpoints[random_.below(endpoints.size())]);
    client.connect(std::move(wire.value()), false);
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

  void step(bool all) {
    broker_->hub.world.run_for(std::chrono::microseconds(random_.below(3000)));
    for (ModelClient& client : clients_) client.step(random_, publishers_, all);
  }

  // Everybody comes back, and all exchanges end.
  void settle() {
    for (int quiet = 0; quiet < 10;) {
      for (ModelClient& client : clients_)
        if (!client.online()) connect(client);
      broker_->hub.world.run_for(quiet > 0 ? 1s : 5ms);
      const auto before = received();
      step(true);
      const bool idle = std::ranges::all_of(clients_, &ModelClient::idle);
      quiet = idle && received() == before ? quiet + 1 : 0;
      if (++settling_ > settling_max) return;
    }
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

  Random random_;
  std::uint64_t seed_;
  std::shared_ptr<hub::SimMachine> machine_;
  Options options_;
  runtime::Duration passed_{};  // of the wall clock, before this start
  runtime::TimePoint started_;
  std::unique_ptr<StoredBroker> broker_;
  std::deque<ModelClient> clients_;
  std::vector<const ModelClient*> publishers_;
  int settling_ = 0;
};

class SharedStoredRandom : public testing::Test {
 protected:
  void SetUp() override { Logger::set_level(LogLevel::off); }
  void TearDown() override { Logger::set_level(LogLevel::info); }
};

TEST_F(SharedStoredRandom, AtQos2EachMessageReachesOneMemberOnceWhateverHappens) {
  for (const std::uint64_t seed : sim::seeds(100)) {
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
