#include "cli/command.h"
#include "server/commands.h"

int main(int argc, char** argv) {
  return sluice::cli::run(sluice::server::all_commands(), argc, argv);
}
