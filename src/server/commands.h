#pragma once

#include <vector>

#include "cli/command.h"

namespace sluice::server {

// All commands of the program, in the order of the help.
const std::vector<cli::Command>& all_commands();

}  // namespace sluice::server
