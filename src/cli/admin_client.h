#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cli/listeners.h"
#include "cli/login.h"

namespace sluice::cli {

// Requests to a hub's admin port.
class AdminClient {
 public:
  AdminClient(HostPort address, Login login)
      : address_(std::move(address)), login_(std::move(login)) {}
  // Finds the hub and logs in as the command's flags say.
  static Result<AdminClient> open(const Arguments& arguments);

  // The body of the answer. Errors are those that the hub states: not_found (404), unauthorized
  // (401, 403), invalid (400), exists (409), busy (429); io: there is no answer, or another.
  [[nodiscard]] Result<std::string> get(std::string_view path) const;
  [[nodiscard]] Result<void> remove(std::string_view path) const;
  // Calls `on_line` for each line of an answer without end, until that ends, Interrupt is requested
  // or `on_line` says false.
  Result<void> follow(std::string_view path,
                      const std::function<bool(std::string_view line)>& on_line) const;

 private:
  struct Exchange;
  Result<void> perform(const std::string& method, std::string_view path, Exchange& exchange) const;

  HostPort address_;
  Login login_;
};

// The flags of the commands that use it: those of the login without TLS, which the admin port does
// not speak, and those that say where the hub is.
std::vector<Flag> with_admin(std::vector<Flag> flags);

// A client id as a level of a path, or a value of a query (RFC 3986, section 2.1).
std::string percent_encode(std::string_view text);

}  // namespace sluice::cli
