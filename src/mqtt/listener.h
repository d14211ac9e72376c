#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "mqtt/options.h"
#include "mqtt/rates.h"
#include "net/transport.h"

namespace sluice::mqtt {

// Counts connections against a maximum. Any thread.
class ConnectionQuota {
 public:
  explicit ConnectionQuota(std::uint64_t max) : max_(max) {}  // 0: no limit

  // False: there are as many as there may be.
  bool take();
  void give_back() { used_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  std::uint64_t max_;
  std::atomic<std::uint64_t> used_{0};
};

struct ListenerOptions {
  std::string name = "mqtt";
  net::Transport transport = net::Transport::tcp;
  bool proxy_protocol = false;
  Limits limits{};
  std::uint64_t connections_max = 0;  // 0: no limit of its own
  Rates rates{};                      // of all its clients together
};

// One listener of the hub: what its clients may do, and what is counted of them on all shards
// together.
class Listener {
 public:
  // `hub_connections`: of all listeners; null: no limit.
  explicit Listener(ListenerOptions options,
                    std::shared_ptr<ConnectionQuota> hub_connections = nullptr);

  [[nodiscard]] const ListenerOptions& options() const { return options_; }
  // Whether publishes are to be counted at all.
  [[nodiscard]] bool has_rates() const {
    return options_.rates.limited() || options_.limits.client_rates.limited();
  }
  [[nodiscard]] SharedRateUse& used() { return used_; }

  // For one connection more; false: there is none.
  bool take_place();
  void give_place_back();

 private:
  ListenerOptions options_;
  ConnectionQuota connections_;
  std::shared_ptr<ConnectionQuota> hub_connections_;
  SharedRateUse used_;
};

}  // namespace sluice::mqtt
