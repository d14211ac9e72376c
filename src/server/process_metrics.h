#pragma once

#include <string>

namespace sluice::server {

// Of this process, now, in Prometheus text: process_resident_memory_bytes,
// process_cpu_seconds_total, process_open_fds, and sluice_build_info. What the system does not tell
// is left out.
std::string process_metrics();

// Lets the process have as many descriptors as the system allows without privileges.
void raise_descriptor_limit();

}  // namespace sluice::server
