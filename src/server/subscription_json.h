#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "hub/hub.h"

namespace sluice::server {

// The filters of a client or a session, with their options, as a JSON array: the first of them.
constexpr std::size_t subscriptions_shown = 1000;
std::string subscriptions_json(std::span<const hub::SubscriberState::Subscription> subscriptions);

}  // namespace sluice::server
