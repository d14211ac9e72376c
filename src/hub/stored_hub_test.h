#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "hub/sim_hub_test.h"
#include "sessions/sessions.h"

namespace sluice::hub {

// A simulated hub with stored sessions on each shard, opened by open(). To crash:
// hub.world.power_off(), destroy this, SimMachine::crash().
struct StoredHub {
  StoredHub(std::uint64_t seed, std::uint32_t shards, std::shared_ptr<SimMachine> machine)
      : hub(seed, shards, SimHub::small_log(), std::move(machine)), group(hub.mailboxes()) {
    for (std::uint32_t i = 0; i < shards; ++i) {
      sessions.push_back(
          std::make_unique<sessions::Sessions>(group, hub.table_context(i), Random(seed + i)));
      group.add(*sessions[i]);
      hub.hubs[i]->set_store(sessions[i]->groups());
    }
  }

  void open() {
    std::size_t ready = 0;
    for (auto& shard : sessions)
      shard->open([&](const Result<void>& done) {
        SLUICE_ASSERT(done);
        ++ready;
      });
    SLUICE_ASSERT(hub.world.run_until([&] { return ready == sessions.size(); }));
  }

  SimHub hub;
  sessions::Group group;
  std::vector<std::unique_ptr<sessions::Sessions>> sessions;
};

}  // namespace sluice::hub
