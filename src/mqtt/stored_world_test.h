#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/quiet_logger_test.h"
#include "base/random.h"
#include "mqtt/model_client_test.h"
#include "mqtt/stored_broker_test.h"
#include "sim/seeds.h"

namespace sluice::mqtt {

// Four clients with stored sessions, each with a topic of its own, do at random what clients do, on
// a hub that crashes at random. What they subscribe to, and what must hold then, a test says.
class StoredWorld {
 public:
  // How sessions end, if they do.
  struct Ends {
    bool clean_session = false, expiry = false;
  };
  StoredWorld(std::uint64_t seed, Omissions omit, Ends ends)
      : random_(seed), ends_(ends), seed_(seed), machine_(std::make_shared<hub::SimMachine>(seed)) {
    options_.limits.session_expiry_max_s = static_cast<std::uint32_t>(expiry.count());
    options_.limits.max_inflight = static_cast<std::uint16_t>(1 + random_.below(20));
    options_.omit = omit;
    start();
    broker_->hub.alter("mqtt", {.partitions = static_cast<std::uint32_t>(1 + random_.below(3))});
    for (int i = 0; i < 4; ++i)
      clients_.emplace_back(fmt::format("client{}", i), fmt::format("t/{}", i));
    for (const ModelClient& client : clients_) publishers_.push_back(&client);
  }
  virtual ~StoredWorld() { end_world(); }
  StoredWorld(const StoredWorld&) = delete;
  StoredWorld& operator=(const StoredWorld&) = delete;

  // What has gone wrong, if anything.
  std::optional<std::string> run() {
    for (int i = 0; i < 150; ++i) act();
    settle();
    if (settling_ > settling_max) return "the exchanges did not end";
    for (const ModelClient& client : clients_)
      if (!client.failures().empty()) return client.failures().front();
    return violation();
  }

 protected:
  virtual void subscribe(ModelClient& client) = 0;
  virtual void unsubscribe(ModelClient& client) = 0;
  // Of what must hold when all exchanges have ended.
  [[nodiscard]] virtual std::optional<std::string> violation() const = 0;

  void connect(ModelClient& client, bool clean = false) {
    auto& endpoints = broker_->endpoints;
    auto wire = broker_->hub.world.connect(endpoints[random_.below(endpoints.size())]);
    client.connect(std::move(wire.value()), clean);
  }

  void step(bool all) {
    broker_->hub.world.run_for(std::chrono::microseconds(random_.below(3000)));
    for (ModelClient& client : clients_) client.step(random_, publishers_, all);
  }

  Random random_;
  std::deque<ModelClient> clients_;
  std::vector<const ModelClient*> publishers_;

 private:
  static constexpr std::chrono::seconds expiry = std::chrono::hours(1);
  static constexpr int settling_max = 5000;

  void act() {
    ModelClient& client = clients_[random_.below(clients_.size())];
    const auto chance = random_.below(100);
    if (chance < 3) {
      crash();
    } else if (chance < 4 && ends_.expiry) {
      let_expire();
    } else if (!client.online()) {
      connect(client, ends_.clean_session && random_.one_in(30));
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
        subscribe(client);
      else if (chance < 40)
        unsubscribe(client);
      else
        client.publish();
    }
    step(false);
  }

  void start() {
    const auto shards = static_cast<std::uint32_t>(1 + random_.below(2));
    broker_ = std::make_unique<StoredBroker>(++seed_ * 1000, shards, machine_, options_, passed_);
    started_ = broker_->hub.world.now();
  }
  void end_world() {
    for (ModelClient& client : clients_) client.cut();
    broker_->hub.world.power_off();
    passed_ += broker_->hub.world.now() - started_ + std::chrono::seconds(1);
    broker_.reset();
  }
  // Often when somebody has just got something: what it says has to be durable by then.
  void crash() {
    if (random_.one_in(2)) {
      const auto is_news = [this] { return std::ranges::any_of(clients_, &ModelClient::has_news); };
      broker_->hub.world.run_until(is_news, std::chrono::milliseconds(3));
      for (ModelClient& client : clients_) client.step(random_, publishers_, false);
    }
    end_world();
    machine_->crash();
    start();
  }

  void let_expire() {
    if (!std::ranges::all_of(clients_, &ModelClient::may_leave)) return;
    for (ModelClient& client : clients_) client.cut();
    broker_->hub.world.run_for(expiry + std::chrono::minutes(2));
    for (ModelClient& client : clients_) client.expire();
  }

  // Everybody comes back, and all exchanges end.
  void settle() {
    for (int quiet = 0; quiet < 10;) {
      for (ModelClient& client : clients_)
        if (!client.online()) connect(client);
      broker_->hub.world.run_for(
          quiet > 0 ? std::chrono::milliseconds(1000)
                    : std::chrono::milliseconds(5));  // a refused append is tried a second later
      const std::size_t before = count();
      step(true);
      const bool idle = std::ranges::all_of(clients_, &ModelClient::idle);
      quiet = idle && count() == before ? quiet + 1 : 0;
      if (++settling_ > settling_max) return;
    }
  }
  [[nodiscard]] std::size_t count() const {
    std::size_t all = 0;
    for (const ModelClient& client : clients_)
      for (const auto& [topic, numbers] : client.received()) all += numbers.size();
    return all;
  }

  const Ends ends_;
  std::uint64_t seed_;
  std::shared_ptr<hub::SimMachine> machine_;
  Options options_;
  runtime::Duration passed_{};  // of the wall clock, before this start
  runtime::TimePoint started_;
  std::unique_ptr<StoredBroker> broker_;
  int settling_ = 0;
};

// SLUICE_SEEDS sets how many seeds are run; a failing one is printed, and SLUICE_SEED runs it
// alone.
template <class World>
class StoredWorldTest : public testing::Test {
 protected:
  static void expect_no_violation() {
    for (const std::uint64_t seed :
         sim::seeds({.optimized = 500, .plain = 100, .sanitized = 100})) {
      const auto violation = World(seed, {}).run();
      ASSERT_FALSE(violation) << "SLUICE_SEED=" << seed << ": " << *violation;
    }
  }
  // If the hub sends what is not durable yet.
  static void expect_violation(Omissions omit) {
    for (std::uint64_t seed = 1; seed <= 500; ++seed)
      if (World(seed, omit).run()) return;
    FAIL() << "500 seeds have not noticed";
  }

 private:
  QuietLogger quiet_;
};

}  // namespace sluice::mqtt
