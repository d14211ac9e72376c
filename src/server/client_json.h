#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "hub/hub.h"
#include "sessions/record.h"

namespace sluice::server {

// What the API says alike of clients and of stored sessions, as JSON.

// The filters with their options: an array of the first of them.
constexpr std::size_t subscriptions_shown = 1000;
std::string subscriptions_json(std::span<const hub::SubscriberState::Subscription> subscriptions);
// What it was moved on past: an object.
std::string lost_json(const sessions::Lost& lost);

}  // namespace sluice::server
