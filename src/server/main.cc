#include "cli/command.h"
#include "server/commands.h"

// Read by jemalloc before main(): huge pages wherever the system allows them, and one arena, since
// each holds some megabytes from the start (decision 11). MALLOC_CONF in the environment overrides
// it.
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "thp:always,narenas:1";
}

int main(int argc, char** argv) {
  return sluice::cli::run(sluice::server::all_commands(), argc, argv);
}
