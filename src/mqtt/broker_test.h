#pragma once

#include <memory>
#include <string>
#include <vector>

#include "hub/sim_hub_test.h"
#include "mqtt/server.h"
#include "mqtt/test_client_test.h"

namespace sluice::mqtt {

// A server per shard with a real hub on a simulated machine, network faults by seed.
struct Broker {
  explicit Broker(std::uint64_t seed, Options options = {}, std::uint32_t shards = 1,
                  const log::Options& log_options = hub::SimHub::small_log())
      : hub(seed, shards, log_options) {
    options.seed = seed + 1;
    for (std::uint32_t i = 0; i < shards; ++i) {
      servers.push_back(std::make_unique<Server>(hub.world.loop(i), *hub.hubs[i], access,
                                                 hub.metrics[i], options));
      endpoints.push_back(servers.back()->listen({"127.0.0.1", 0}).value());
    }
  }
  TestClient client(Version version = Version::v5, std::uint32_t shard = 0) {
    return {hub.world, endpoints[shard], version};
  }
  std::string metrics() {
    std::vector<Metrics*> all;
    for (Metrics& metrics : hub.metrics) all.push_back(&metrics);
    return Metrics::render(all);
  }

  hub::SimHub hub;
  access::AllowAll access;
  std::vector<std::unique_ptr<Server>> servers;
  std::vector<runtime::Endpoint> endpoints;
};

}  // namespace sluice::mqtt
