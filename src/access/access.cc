#include "access/access.h"

namespace sluice::access {

std::string_view to_string(Action action) {
  switch (action) {
    case Action::publish:
      return "publish";
    case Action::subscribe:
      return "subscribe";
    case Action::read:
      return "read";
    case Action::write:
      return "write";
    case Action::describe:
      return "describe";
    case Action::create:
      return "create";
    case Action::remove:
      return "remove";
    case Action::administer:
      return "administer";
  }
  return "unknown";
}

Result<Principal> AllowAll::authenticate(const Login& login) {
  if (login.user.empty()) return Principal{};
  return Principal{std::string(login.user)};
}

Result<void> AllowAll::check(const Principal&, Action, std::string_view) { return {}; }

bool AllowAll::unrestricted(const Principal&) const { return true; }

}  // namespace sluice::access
