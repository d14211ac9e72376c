#include "mqtt/listener.h"

#include <utility>

namespace sluice::mqtt {

bool ConnectionQuota::take() {
  if (used_.fetch_add(1, std::memory_order_relaxed) < max_ || max_ == 0) return true;
  give_back();
  return false;
}

Listener::Listener(ListenerOptions options, std::shared_ptr<ConnectionQuota> hub_connections)
    : options_(std::move(options)),
      connections_(options_.connections_max),
      hub_connections_(std::move(hub_connections)) {}

bool Listener::take_place() {
  if (!connections_.take()) return false;
  if (!hub_connections_ || hub_connections_->take()) return true;
  connections_.give_back();
  return false;
}

void Listener::give_place_back() {
  connections_.give_back();
  if (hub_connections_) hub_connections_->give_back();
}

}  // namespace sluice::mqtt
