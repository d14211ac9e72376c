#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace sluice::cli {

// One option of a command: "--partitions N". May be given several times; the last one counts, or
// all of them where the command says so.
struct Flag {
  std::string_view name;      // without the dashes
  char letter = 0;            // of the short form; 0: none
  std::string_view argument;  // what stands for its value in the help; empty: a switch
  std::string_view text;
};

using Assignments = std::vector<std::pair<std::string, std::string>>;  // NAME=VALUE

// What was given on the command line, checked against the command's flags.
class Arguments {
 public:
  std::vector<std::string> positional;

  void add(std::string_view flag, std::string value) {
    flags_[std::string(flag)].push_back(std::move(value));
  }
  [[nodiscard]] bool has(std::string_view flag) const { return flags_.contains(flag); }
  [[nodiscard]] std::span<const std::string> all(std::string_view flag) const;
  [[nodiscard]] std::optional<std::string_view> last(std::string_view flag) const;
  [[nodiscard]] std::string_view last_or(std::string_view flag, std::string_view otherwise) const;
  // A whole number within [min, max], or `otherwise` when the flag was not given.
  [[nodiscard]] Result<std::int64_t> integer_or(std::string_view flag, std::int64_t otherwise,
                                                std::int64_t min, std::int64_t max) const;
  // All of a flag, each taken apart.
  [[nodiscard]] Result<Assignments> assignments(std::string_view flag) const;

 private:
  std::map<std::string, std::vector<std::string>, std::less<>> flags_;
};

// A command is one row of a table; help, parsing and docs/reference/cli.md come from it.
struct Command {
  std::string_view name;       // "stream create"
  std::string_view arguments;  // "NAME"; for the help
  std::size_t arguments_min = 0;
  std::size_t arguments_max = 0;
  std::string_view summary;  // one line
  std::string_view details;  // paragraphs for --help and the reference; may be empty
  std::vector<Flag> flags;
  // Errc::invalid is a usage error (exit status 2), any other error a failure (1).
  Result<void> (*run)(const Arguments& arguments);
};

inline constexpr int exit_ok = 0;
inline constexpr int exit_failed = 1;
inline constexpr int exit_usage = 2;

struct Invocation {
  const Command* command;
  Arguments arguments;
};

// Which command is called, and with what. `words` is the command line without the program's name.
// Errc::invalid names what is wrong, with the nearest known command or flag.
Result<Invocation> parse(std::span<const Command> commands, std::span<const std::string> words);

std::string help(std::span<const Command> commands, std::string_view only_noun = {});
std::string help(const Command& command);
// docs/reference/cli.md
std::string reference_markdown(std::span<const Command> commands);

// The whole program: --help, --version, parse, run; errors go to stderr. Returns the exit status.
int run(std::span<const Command> commands, int argc, char** argv);

}  // namespace sluice::cli
