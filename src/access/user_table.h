#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/credential.h"
#include "access/rules.h"
#include "base/result.h"

namespace sluice::access {

// Clients without a user; has rules, but no password.
constexpr std::string_view anonymous_name = "anonymous";

struct User {
  std::string name{};
  std::vector<Credential> credentials{};  // one per digest; none: no password is right
  Rules rules{};

  [[nodiscard]] const Credential* credential(Digest digest) const;
};

// 1 to 128 bytes of UTF-8 without control characters, and without those that mean something in
// topic filters or rules: '/', '+', '#', '%'. Not "$" in front.
Result<void> validate_user_name(std::string_view name);

// All users, as a file says: docs/reference/access.md. Not changed any more once a hub has it;
// shared by all shards.
class UserTable {
 public:
  // Errors (malformed) name the file, the line and the user.
  static Result<UserTable> parse(std::string_view text, const std::string& path);
  // The text that parse() reads. Comments are not kept.
  [[nodiscard]] std::string format() const;

  [[nodiscard]] const User* find(std::string_view name) const;
  [[nodiscard]] const std::map<std::string, User, std::less<>>& all() const { return users_; }
  [[nodiscard]] bool empty() const { return users_.empty(); }
  void put(User user);
  bool remove(std::string_view name);

  // For a name that is not here: looks like that of a user, is the same each time, and no password
  // fits.
  [[nodiscard]] Credential decoy(std::string_view name, Digest digest) const;

 private:
  void renew_secret();

  std::map<std::string, User, std::less<>> users_;
  std::string secret_;  // from the credentials: known to nobody outside, the same in all processes
  std::uint32_t usual_iterations_ = iterations_default;
};

}  // namespace sluice::access
