#include "cli/new_password.h"

#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iostream>

#include "access/digest.h"

namespace sluice::cli {
namespace {

constexpr std::size_t generated_bytes = 18;  // 144 bits; as text 24 characters

Result<std::string> first_line(std::istream& in, std::string_view name) {
  std::string line;
  if (!std::getline(in, line) || line.empty())
    return fail(Errc::invalid, "there is no password in {}", name);
  return line;
}

// Of the terminal on standard input; put back as it was.
class EchoOff {
 public:
  EchoOff() {
    ::tcgetattr(STDIN_FILENO, &before_);
    termios quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
  }
  EchoOff(const EchoOff&) = delete;
  EchoOff& operator=(const EchoOff&) = delete;
  ~EchoOff() { ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_); }

 private:
  termios before_{};
};

Result<std::string> ask(const std::string& prompt) {
  fmt::print(stderr, "{}: ", prompt);
  std::fflush(stderr);
  const EchoOff quiet;
  auto line = first_line(std::cin, "what was typed");
  fmt::print(stderr, "\n");
  return line;
}

Result<std::string> ask_twice(std::string_view user) {
  SLUICE_TRY_ASSIGN(auto password, ask(fmt::format("Password of {}", user)));
  SLUICE_TRY_ASSIGN(const auto again, ask("Once more"));
  if (password != again) return fail(Errc::invalid, "the two passwords differ");
  return password;
}

// Letters and digits, '-' and '_': nothing that a shell or a file would change.
std::string generate() {
  std::string text = access::base64(access::random_bytes(generated_bytes));
  for (char& c : text) {
    if (c == '+') c = '-';
    if (c == '/') c = '_';
  }
  return text;
}

}  // namespace

const std::array<Flag, 2> new_password_flags{
    {{"password-file", 0, "FILE",
      "Its first line is the password. Without it: typed on the terminal, or the first line of the "
      "standard input"},
     {"generate", 0, "", "Make a password up and print it"}}};

Result<NewPassword> new_password(const Arguments& arguments, std::string_view user) {
  if (arguments.has("generate")) return NewPassword{.text = generate(), .generated = true};
  Result<std::string> text;
  if (const auto path = arguments.last("password-file"); path && *path != "-") {
    std::ifstream file{std::string(*path)};
    if (!file) return fail(Errc::invalid, "--password-file: {} cannot be read", *path);
    text = first_line(file, *path);
  } else if (!path && ::isatty(STDIN_FILENO) != 0) {
    text = ask_twice(user);
  } else {
    text = first_line(std::cin, "the standard input");
  }
  if (!text) return std::unexpected(std::move(text.error()));
  return NewPassword{.text = std::move(*text)};
}

}  // namespace sluice::cli
