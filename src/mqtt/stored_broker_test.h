#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "hub/stored_hub_test.h"
#include "mqtt/broker_test.h"
#include "mqtt/server.h"

namespace sluice::mqtt {

// A server per shard with stored sessions, on a simulated machine that may crash. To crash:
// hub.world.power_off(), destroy this, hub::SimMachine::crash().
struct StoredBroker {
  StoredBroker(std::uint64_t seed, std::uint32_t shards, std::shared_ptr<hub::SimMachine> machine,
               Options options, runtime::Duration wall_step)
      : stored(seed, shards, std::move(machine)) {
    hub.world.step_wall_clock(wall_step);
    for (std::uint32_t i = 0; i < shards; ++i) {
      options.seed = seed + i + 1;
      add_shard(i, options);
    }
    stored.open();
    for (auto& server : servers) endpoints.push_back(server->listen({"127.0.0.1", 0}).value());
  }

  hub::StoredHub stored;
  hub::SimHub& hub = stored.hub;
  std::vector<std::unique_ptr<sessions::Sessions>>& sessions = stored.sessions;
  access::AllowAll access;
  std::vector<std::unique_ptr<delayed::Delayed>> delayed;
  std::vector<std::unique_ptr<Server>> servers;
  std::vector<runtime::Endpoint> endpoints;

 private:
  void add_shard(std::uint32_t i, const Options& options) {
    sessions::Sessions& its_sessions = *sessions[i];
    delayed.push_back(delayed_of(hub, i));
    servers.push_back(std::make_unique<Server>(hub.world.loop(i), *hub.hubs[i], *delayed[i], access,
                                               hub.metrics[i], options, &its_sessions));
    Server& server = *servers.back();
    its_sessions.set_flush([&server](Task done) { server.flush(std::move(done)); });
    its_sessions.set_on_will(
        [&server](const std::string& client, sessions::Uid uid, sessions::Will will, WallMs due) {
          server.adopt_will(client, uid, std::move(will), due);
        });
  }
};

}  // namespace sluice::mqtt
