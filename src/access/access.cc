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
    case Action::alter:
      return "alter";
    case Action::remove:
      return "remove";
    case Action::use_group:
      return "use_group";
    case Action::administer:
      return "administer";
  }
  return "unknown";
}

Result<Principal> AllowAll::admit(const Login& login) {
  const std::string_view name = login.user.empty() ? login.certificate_name : login.user;
  if (name.empty()) return Principal{};
  return Principal{.name = std::string(name)};
}

Result<Credential> AllowAll::credential(std::string_view /*user*/, Digest /*digest*/) {
  return fail(Errc::unsupported, "there are no users");
}

void AllowAll::refused(const Login& /*login*/, const Error& /*error*/) {}

Result<void> AllowAll::check(const Principal&, Action, std::string_view) { return {}; }

bool AllowAll::unrestricted(const Principal&) const { return true; }

}  // namespace sluice::access
