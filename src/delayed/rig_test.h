#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/assert.h"
#include "delayed/delayed.h"
#include "hub/clients_test.h"
#include "hub/sim_hub_test.h"

namespace sluice::delayed {

// Hubs with their delayed messages, one life after the other on one simulated machine.
class Rig {
 public:
  explicit Rig(std::uint64_t seed, std::uint32_t shards = 1, std::uint64_t places_max = 100'000)
      : seed_(seed), places_max_(places_max), machine_(std::make_shared<hub::SimMachine>(seed)) {
    start(shards);
  }

  void start(std::uint32_t shards) {
    sim = std::make_unique<hub::SimHub>(++seed_, shards, hub::SimHub::small_log(), machine_);
    started_ = sim->world.loop(0).now();
    sim->world.step_wall_clock(since_first_start_);
    const auto places = std::make_shared<Places>(places_max_);
    std::uint32_t open = 0;
    for (std::uint32_t i = 0; i < shards; ++i) {
      parts.push_back(std::make_unique<Delayed>(sim->table_context(i), *sim->hubs[i], places));
      parts.back()->open([&](const Result<void>& result) {
        SLUICE_ASSERT(result);
        ++open;
      });
    }
    SLUICE_ASSERT(sim->world.run_until([&] { return open == shards; }));
  }
  // The machine loses power.
  void crash() {
    since_first_start_ += sim->world.loop(0).now() - started_;
    sim->world.power_off();
    parts.clear();
    sim.reset();
    machine_->crash();
  }
  void stop() {
    std::size_t stopped = 0;
    for (const auto& part : parts)
      part->stop([&](const Result<void>& result) {
        EXPECT_TRUE(result);
        ++stopped;
      });
    ASSERT_TRUE(sim->world.run_until([&] { return stopped == parts.size(); }));
    crash();
  }

  // In a turn of the shard's loop; nothing is answered at once.
  Result<void> publish(const hub::Message& message, std::uint32_t delay_s, Done<void> done,
                       std::uint32_t shard = 0) {
    sim->world.loop(shard).post([] {});
    return parts[shard]->publish(message, delay_s, std::move(done));
  }
  // Waits until it is taken, if need be for the table.
  void begin(const hub::Message& message, std::uint32_t delay_s, Done<void> done,
             std::uint32_t shard = 0) {
    const auto kept = std::make_shared<Done<void>>(std::move(done));
    const auto take = [&] {
      return publish(
          message, delay_s, [kept](Result<void> result) { (*kept)(std::move(result)); }, shard);
    };
    auto taken = take();
    while (!taken && taken.error().code == Errc::busy) {
      bool room = false;
      parts[shard]->wait_for_room([&] { room = true; });
      ASSERT_TRUE(sim->world.run_until([&] { return room; }));
      taken = take();
    }
    ASSERT_TRUE(taken) << taken.error().text;
  }
  // Waits until it is kept.
  void keep(const hub::Message& message, std::uint32_t delay_s, std::uint32_t shard = 0) {
    std::optional<Result<void>> kept;
    begin(message, delay_s, [&](Result<void> result) { kept = std::move(result); }, shard);
    ASSERT_TRUE(sim->world.run_until([&] { return kept.has_value(); }));
    ASSERT_TRUE(*kept) << kept->error().text;
  }
  void run_for(runtime::Duration time) { sim->world.run_for(time); }
  std::string metrics() {
    std::vector<Metrics*> all;
    for (Metrics& shard : sim->metrics) all.push_back(&shard);
    return Metrics::render(all);
  }
  [[nodiscard]] bool waits(int count) {
    return metrics().contains("sluice_delayed_messages " + std::to_string(count) + "\n");
  }

  std::unique_ptr<hub::SimHub> sim;
  std::vector<std::unique_ptr<Delayed>> parts;

 private:
  std::uint64_t seed_;
  runtime::TimePoint started_;
  runtime::Duration since_first_start_{};  // the clock of the machine goes on
  const std::uint64_t places_max_;
  std::shared_ptr<hub::SimMachine> machine_;
};

}  // namespace sluice::delayed
