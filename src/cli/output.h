#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/command.h"

namespace sluice::cli {

enum class Output : std::uint8_t { table, json };

extern const Flag output_flag;
Result<Output> output_of(const Arguments& arguments);

// Columns padded to their widest cell; the first row is the heading.
std::string format_table(const std::vector<std::vector<std::string>>& rows);

// What clients have named, for a terminal: control characters, those that change the direction of
// text, and bytes that are no UTF-8 are shown as escapes such as \x1b and \u202e.
std::string printable(std::string_view text);

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
