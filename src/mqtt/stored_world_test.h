#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "base/random.h"
#include "mqtt/model_client_test.h"
#include "mqtt/stored_broker_test.h"

namespace sluice::mqtt {

// Four clients with stored sessions, each with a topic of its own, and a hub that can crash: what
// tests that act at random start from.
class StoredWorld {
 public:
  StoredWorld(std::uint64_t seed, Omissions omit, std::chrono::seconds expiry)
      : random_(seed), seed_(seed), machine_(std::make_shared<hub::SimMachine>(seed)) {
    options_.limits.session_expiry_max_s = static_cast<std::uint32_t>(expiry.count());
    options_.limits.max_inflight = static_cast<std::uint16_t>(1 + random_.below(20));
    options_.omit = omit;
    start();
    broker_->hub.alter("mqtt", {.partitions = static_cast<std::uint32_t>(1 + random_.below(3))});
    for (int i = 0; i < 4; ++i)
      clients_.emplace_back(fmt::format("client{}", i), fmt::format("t/{}", i));
    for (const ModelClient& client : clients_) publishers_.push_back(&client);
  }
  ~StoredWorld() { end_world(); }
  StoredWorld(const StoredWorld&) = delete;
  StoredWorld& operator=(const StoredWorld&) = delete;

 protected:
  static constexpr int settling_max = 5000;

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

  void connect(ModelClient& client, bool clean = false) {
    auto& endpoints = broker_->endpoints;
    auto wire = broker_->hub.world.connect(endpoints[random_.below(endpoints.size())]);
    client.connect(std::move(wire.value()), clean);
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

}  // namespace sluice::mqtt
