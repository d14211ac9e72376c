#pragma once

#include <array>
#include <optional>
#include <string>

#include "base/result.h"
#include "cli/command.h"

namespace sluice::cli {

// --password-file, --generate
extern const std::array<Flag, 2> new_password_flags;

struct NewPassword {
  std::string text;
  bool generated = false;
};

// A password for somebody: made up with --generate; else the first line of --password-file; else
// typed twice on a terminal, unseen; else the first line of the standard input.
Result<NewPassword> new_password(const Arguments& arguments, std::string_view user);

}  // namespace sluice::cli
