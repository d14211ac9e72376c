#pragma once

#include <array>
#include <string>

#include "base/result.h"
#include "cli/command.h"

namespace sluice::cli {

// How a command shows itself to the hub. All empty: as nobody, without TLS.
struct Login {
  std::string user;
  std::string password;
  std::string ca_file;  // PEM; not empty: TLS, and the hub's certificate must be signed by it
};

// --user, --password-file, --tls-ca
extern const std::array<Flag, 3> login_flags;

// The password is the first line of --password-file ("-": of the standard input), else
// $SLUICE_PASSWORD.
Result<Login> login_of(const Arguments& arguments);

// What to try when a hub refuses `login` or ends its connections, as the end of an error.
std::string login_hint(const Login& login);

// `flags` and those of the login.
std::vector<Flag> with_login(std::vector<Flag> flags);

}  // namespace sluice::cli
