#include "cli/login.h"

#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <iostream>

namespace sluice::cli {
namespace {

Result<std::string> first_line(std::istream& in, std::string_view name) {
  std::string line;
  if (!std::getline(in, line))
    return fail(Errc::invalid, "--password-file: {} holds no line", name);
  return line;
}

Result<std::string> password_of(const Arguments& arguments) {
  if (const auto path = arguments.last("password-file")) {
    if (*path == "-") return first_line(std::cin, "the standard input");
    std::ifstream file{std::string(*path)};
    if (!file) return fail(Errc::invalid, "--password-file: {} cannot be read", *path);
    return first_line(file, *path);
  }
  const char* const from_environment = std::getenv("SLUICE_PASSWORD");
  if (from_environment != nullptr) return from_environment;
  return fail(Errc::invalid, "--user needs --password-file FILE or the variable SLUICE_PASSWORD");
}

}  // namespace

const std::array<Flag, 3> login_flags{
    {{"user", 'u', "NAME", "User to log in as; the password comes from --password-file"},
     {"password-file", 0, "FILE",
      "Its first line is the password; `-`: the standard input. Without it: $SLUICE_PASSWORD"},
     {"tls-ca", 0, "FILE",
      "Speak TLS; PEM file of the authority that signed the hub's certificate"}}};

Result<Login> login_of(const Arguments& arguments) {
  Login login;
  login.ca_file = arguments.last_or("tls-ca", "");
  login.user = arguments.last_or("user", "");
  if (login.user.empty()) return login;
  SLUICE_TRY_ASSIGN(login.password, password_of(arguments));
  return login;
}

std::string login_hint(const Login& login) {
  if (!login.user.empty() && !login.ca_file.empty()) return "";
  if (!login.user.empty()) return "; if the listener speaks TLS: --tls-ca FILE";
  return fmt::format("; with users the hub needs --user NAME --password-file FILE{}",
                     login.ca_file.empty() ? ", with TLS --tls-ca FILE" : "");
}

std::vector<Flag> with_login(std::vector<Flag> flags) {
  flags.insert(flags.end(), login_flags.begin(), login_flags.end());
  return flags;
}

}  // namespace sluice::cli
