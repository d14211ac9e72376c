#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "hub/sim_hub_test.h"
#include "mqtt/broker_test.h"
#include "mqtt/server.h"
#include "sessions/sessions.h"

namespace sluice::mqtt {

// A server per shard with stored sessions, on a simulated machine that may crash. To crash:
// hub.world.power_off(), destroy this, hub::SimMachine::crash().
struct StoredBroker {
  StoredBroker(std::uint64_t seed, std::uint32_t shards, std::shared_ptr<hub::SimMachine> machine,
               Options options, runtime::Duration wall_step)
      : hub(seed, shards, hub::SimHub::small_log(), std::move(machine)), group(hub.mailboxes()) {
    hub.world.step_wall_clock(wall_step);
    for (std::uint32_t i = 0; i < shards; ++i) {
      options.seed = seed + i + 1;
      add_shard(i, seed, options);
    }
    std::uint32_t ready = 0;
    for (auto& shard : sessions)
      shard->open([&](const Result<void>& done) {
        SLUICE_ASSERT(done);
        ++ready;
      });
    SLUICE_ASSERT(hub.world.run_until([&] { return ready == shards; }));
    for (auto& server : servers) endpoints.push_back(server->listen({"127.0.0.1", 0}).value());
  }

  hub::SimHub hub;
  access::AllowAll access;
  sessions::Group group;
  std::vector<std::unique_ptr<sessions::Sessions>> sessions;
  std::vector<std::unique_ptr<delayed::Delayed>> delayed;
  std::vector<std::unique_ptr<Server>> servers;
  std::vector<runtime::Endpoint> endpoints;

 private:
  void add_shard(std::uint32_t i, std::uint64_t seed, const Options& options) {
    sim::SimLoop& loop = hub.world.loop(i);
    sessions.push_back(
        std::make_unique<sessions::Sessions>(group, hub.table_context(i), Random(seed + i)));
    group.add(*sessions.back());
    delayed.push_back(delayed_of(hub, i));
    servers.push_back(std::make_unique<Server>(loop, *hub.hubs[i], *delayed[i], access,
                                               hub.metrics[i], options, sessions.back().get()));
    Server& server = *servers.back();
    sessions.back()->set_flush([&server](Task done) { server.flush(std::move(done)); });
    sessions.back()->set_on_will(
        [&server](const std::string& client, sessions::Uid uid, sessions::Will will, WallMs due) {
          server.adopt_will(client, uid, std::move(will), due);
        });
  }
};

}  // namespace sluice::mqtt
