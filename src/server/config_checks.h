#pragma once

#include "base/result.h"
#include "server/config.h"

namespace sluice::server {

// What no single setting's range can say. Errc::malformed names the settings that don't go
// together.
Result<void> check_config(const Config& config);

}  // namespace sluice::server
