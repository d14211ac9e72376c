#include "server/process_metrics.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "cli/version.h"

namespace sluice::server {
namespace {

void append(std::string& out, std::string_view name, std::string_view type, std::string_view help,
            std::string_view value) {
  out += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n{0} {3}\n", name, help, type, value);
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

ProcessMemory process_memory() {
  ProcessMemory memory;
  std::ifstream statm("/proc/self/statm");  // proc(5): sizes in pages
  std::int64_t all_pages = 0;
  std::int64_t resident_pages = 0;
  if (statm >> all_pages >> resident_pages)
    memory.resident = resident_pages * static_cast<std::int64_t>(sysconf(_SC_PAGESIZE));
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0)
    memory.resident_max = std::max<std::int64_t>(usage.ru_maxrss * 1024, memory.resident);
  return memory;
}

std::string process_metrics() {
  std::string out = fmt::format(
      "# HELP sluice_build_info Always 1; the version is in the label\n# TYPE sluice_build_info "
      "gauge\n"
      "sluice_build_info{{version=\"{}\"}} 1\n",
      version);

  if (const std::int64_t resident = process_memory().resident; resident > 0)
    append(out, "process_resident_memory_bytes", "gauge", "Resident memory",
           std::to_string(resident));

  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0)
    append(out, "process_cpu_seconds_total", "counter", "User and system CPU time",
           fmt::format("{:.6f}", seconds(usage.ru_utime) + seconds(usage.ru_stime)));

  std::error_code error;
  const std::filesystem::directory_iterator descriptors("/proc/self/fd", error);
  if (!error)
    append(out, "process_open_fds", "gauge", "Open descriptors",
           std::to_string(std::distance(begin(descriptors), end(descriptors)) -
                          1));  // less the one of this look
  return out;
}

std::uint64_t descriptor_limit() {
  rlimit limit{};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace sluice::server
