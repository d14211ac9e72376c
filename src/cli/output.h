#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cli/command.h"

namespace sluice::cli {

enum class Output : std::uint8_t { table, json };

extern const Flag output_flag;
Result<Output> output_of(const Arguments& arguments);

// Columns padded to their widest cell; the first row is the heading.
std::string format_table(const std::vector<std::vector<std::string>>& rows);

// Writes a line to stdout and flushes it, so that a reader behind a pipe sees it at once.
void print_line(std::string_view line);

// True until SIGINT or SIGTERM, which then no longer end the process: for commands that follow
// something.
class Interrupt {
 public:
  Interrupt();
  [[nodiscard]] static bool requested();
};

}  // namespace sluice::cli
