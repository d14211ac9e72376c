#include "server/client_json.h"

#include <algorithm>

#include "base/json.h"

namespace sluice::server {

std::string subscriptions_json(std::span<const hub::SubscriberState::Subscription> subscriptions) {
  const auto shown = subscriptions.first(std::min(subscriptions.size(), subscriptions_shown));
  return json_array(shown, [](const hub::SubscriberState::Subscription& subscription) {
    const auto& [filter, options] = subscription;
    JsonObject one;
    one.add("filter", filter)
        .add("qos", options.qos)
        .add("no_local", options.no_local)
        .add("retain_as_published", options.retain_as_published);
    if (options.id != 0) one.add("subscription_id", options.id);
    return one.str();
  });
}

std::string lost_json(const sessions::Lost& lost) {
  return JsonObject().add("retention", lost.retention).add("lag_limit", lost.lag_limit).str();
}

}  // namespace sluice::server
