#pragma once

#include <cstdint>

#include "hub/hub.h"
#include "sessions/record.h"

namespace sluice::mqtt {

inline void add_loss(sessions::Lost& lost, hub::Loss why, std::uint64_t offsets) {
  (why == hub::Loss::retention ? lost.retention : lost.lag_limit) += offsets;
}

}  // namespace sluice::mqtt
