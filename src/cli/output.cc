#include "cli/output.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>

namespace sluice::cli {
namespace {

volatile std::sig_atomic_t interrupted = 0;
void on_signal(int) { interrupted = 1; }

}  // namespace

const Flag output_flag{"output", 'o', "FORMAT", "table (default) or json: one object a line"};

Result<Output> output_of(const Arguments& arguments) {
  const std::string_view format = arguments.last_or("output", "table");
  if (format == "table") return Output::table;
  if (format == "json") return Output::json;
  return fail(Errc::invalid, "--output: '{}' is neither table nor json", format);
}

std::string format_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i + 1 < row.size(); ++i)
      out += fmt::format("{:<{}}  ", row[i], widths[i]);
    out += row.back() + '\n';
  }
  return out;
}

void print_line(std::string_view line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
  std::fflush(stdout);
}

Interrupt::Interrupt() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

bool Interrupt::requested() { return interrupted != 0; }

}  // namespace sluice::cli
