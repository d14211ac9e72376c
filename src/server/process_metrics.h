#pragma once

#include <cstdint>
#include <string>

namespace sluice::server {

// Bytes; 0: the system does not tell.
struct ProcessMemory {
  std::int64_t resident = 0;
  std::int64_t resident_max = 0;  // since the process began
};
ProcessMemory process_memory();

// Of this process, now, in Prometheus text: process_resident_memory_bytes,
// process_cpu_seconds_total, process_open_fds, and sluice_build_info. What the system does not tell
// is left out.
std::string process_metrics();

// How many descriptors the process may have.
std::uint64_t descriptor_limit();
// Lets the process have as many descriptors as the system allows without privileges.
void raise_descriptor_limit();

}  // namespace sluice::server
