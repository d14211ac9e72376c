#pragma once

#include <span>
#include <vector>

#include "cli/command.h"

namespace sluice::cli {

// The commands that talk to a running hub, over the public protocols.
std::vector<Command> stream_commands();   // stream list|create|show|delete
std::vector<Command> group_commands();    // group list|show|reset
std::vector<Command> user_commands();     // user add|list|passwd|remove; work on the file of users
std::vector<Command> client_commands();   // client list|show|kick
std::vector<Command> session_commands();  // session list|show|delete
std::vector<Command> queue_commands();    // queue list|show|delete
std::vector<Command> trace_commands();    // trace client|topic|ip
Command tail_command();
Command pub_command();
Command sub_command();
Command top_command();

}  // namespace sluice::cli
