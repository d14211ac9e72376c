#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "access/access.h"
#include "access/user_table.h"
#include "base/logger.h"
#include "base/metrics.h"
#include "runtime/loop.h"
#include "runtime/worker.h"

namespace sluice::access {

struct UsersOptions {
  bool allow_anonymous = false;
  std::size_t logins_max = 256;  // passwords waiting to be hashed
};

// Access by a table of users; without a table everybody may do everything.
//
// A password is checked by hashing it with all its iterations (milliseconds), on a helper thread of
// this shard; a password that was right before is recognised by one HMAC. An unknown user costs
// what a wrong password costs. Whoever is refused is counted and logged.
//
// Shard: all on the loop given. Destroying it drops the logins that wait; their `done` is not
// called.
class Users final : public Access {
 public:
  Users(runtime::Loop& loop, Metrics& metrics, std::shared_ptr<const UserTable> table,
        UsersOptions options);
  ~Users() override;
  Users(const Users&) = delete;
  Users& operator=(const Users&) = delete;

  // Holds at once, for connections that are open as well: who is not in the new table, or was let
  // in without proof while there were no users, may do nothing more.
  void replace(std::shared_ptr<const UserTable> table);

  void log_in(const Login& login, Done<Principal> done) override;
  Result<Principal> admit(const Login& login) override;
  [[nodiscard]] bool login_required() const override;
  Result<Credential> credential(std::string_view user, Digest digest) override;
  void refused(const Login& login, const Error& error) override;
  Result<void> check(const Principal& principal, Action action, std::string_view resource) override;
  [[nodiscard]] bool unrestricted(const Principal& principal) const override;

 private:
  enum class Refusal : std::uint8_t { unknown_user, wrong_password, anonymous, busy, malformed };
  static constexpr std::array<std::string_view, 5> refusal_names{"unknown_user", "wrong_password",
                                                                 "anonymous", "busy", "malformed"};
  struct Attempt;
  // What was right once: recognised without hashing again.
  struct Verified {
    std::string stored_key;  // of the credential that it fitted
    std::string mark;
  };

  [[nodiscard]] Principal principal_of(const Login& login, std::string_view name,
                                       bool proven) const;
  [[nodiscard]] const User* user_of(Grant& grant, std::string_view name) const;
  [[nodiscard]] Credential credential_to_check(std::string_view user) const;
  [[nodiscard]] bool was_right_before(std::string_view user, std::string_view password) const;
  void finish(Attempt& attempt);
  std::unexpected<Error> refuse(const Login& login, Refusal refusal, Error error);

  runtime::Loop& loop_;
  UsersOptions options_;
  std::shared_ptr<const UserTable> table_;  // null: no users
  std::uint64_t generation_ = 1;            // of the table
  std::string scratch_;
  std::string cache_key_;
  std::unordered_map<std::string, Verified> verified_;  // by user, so bounded by the table
  std::size_t waiting_ = 0;
  std::array<Counter*, refusal_names.size()> refusals_{};
  LogLimit log_limit_;
  std::shared_ptr<std::atomic<bool>> alive_;  // false: jobs and answers are dropped
  std::unique_ptr<runtime::Worker> worker_;
};

}  // namespace sluice::access
