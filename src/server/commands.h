#pragma once

#include <vector>

#include "cli/command.h"
#include "server/config.h"

namespace sluice::server {

// All commands of the program, in the order of the help.
const std::vector<cli::Command>& all_commands();
cli::Command demo_command();

void set_up_logging(const Config& config);

}  // namespace sluice::server
