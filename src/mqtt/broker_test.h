#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "delayed/delayed.h"
#include "hub/sim_hub_test.h"
#include "mqtt/server.h"
#include "mqtt/test_client_test.h"

namespace sluice::mqtt {

// The delayed messages of a shard of a machine that is new.
inline std::unique_ptr<delayed::Delayed> delayed_of(hub::SimHub& hub, std::uint32_t shard = 0,
                                                    std::uint64_t places_max = 10) {
  auto made = std::make_unique<delayed::Delayed>(hub.table_context(shard), *hub.hubs[shard],
                                                 std::make_shared<delayed::Places>(places_max));
  made->open([](const Result<void>&) {});
  return made;
}

// A server per shard with a real hub on a simulated machine, network faults by seed.
struct Broker {
  explicit Broker(std::uint64_t seed, Options options = {}, std::uint32_t shards = 1,
                  const log::Options& log_options = hub::SimHub::small_log())
      : hub(seed, shards, log_options) {
    options.seed = seed + 1;
    for (std::uint32_t i = 0; i < shards; ++i) {
      delayed.push_back(delayed_of(hub, i));
      servers.push_back(std::make_unique<Server>(hub.world.loop(i), *hub.hubs[i], *delayed[i],
                                                 access, hub.metrics[i], options));
      endpoints.push_back(servers.back()->listen({"127.0.0.1", 0}).value());
    }
  }
  TestClient client(Version version = Version::v5, std::uint32_t shard = 0) {
    return {hub.world, endpoints[shard], version};
  }
  // Clients of a listener, beside those of the options.
  TestClient client(const std::shared_ptr<Listener>& listener, Version version = Version::v5,
                    std::uint32_t shard = 0) {
    const auto [at, is_new] = more_endpoints.try_emplace({listener, shard});
    if (is_new) at->second = servers[shard]->listen({"127.0.0.1", 0}, listener).value();
    return {hub.world, at->second, version};
  }
  std::string metrics() { return hub.metrics_text(); }

  hub::SimHub hub;
  access::AllowAll access;
  std::vector<std::unique_ptr<delayed::Delayed>> delayed;
  std::vector<std::unique_ptr<Server>> servers;
  std::vector<runtime::Endpoint> endpoints;
  std::map<std::pair<std::shared_ptr<Listener>, std::uint32_t>, runtime::Endpoint> more_endpoints;
};

}  // namespace sluice::mqtt
