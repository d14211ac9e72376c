#include "access/users.h"

#include <utility>

namespace sluice::access {
namespace {

constexpr Logger logger("access");
constexpr std::size_t cache_key_size = 32;

}  // namespace

struct Grant {
  std::uint64_t generation = 0;  // of the table that `user` was found in
  std::shared_ptr<const User> user{};
  bool proven = false;  // by a password or certificate, or needs none
};

// One password on its way to the helper and back. Owns what the caller's Login only showed.
struct Users::Attempt {
  std::string protocol;
  std::string peer;
  std::string client_id;
  std::string user;
  std::string password;
  Credential credential;
  Done<Principal> done;
  bool right = false;

  [[nodiscard]] Login login() const {
    return {.protocol = protocol,
            .peer = peer,
            .client_id = client_id,
            .user = user,
            .password = password};
  }
};

Users::Users(runtime::Loop& loop, Metrics& metrics, std::shared_ptr<const UserTable> table,
             UsersOptions options)
    : loop_(loop),
      options_(options),
      table_(std::move(table)),
      cache_key_(random_bytes(cache_key_size)),
      alive_(std::make_shared<std::atomic<bool>>(true)),
      worker_(loop.make_worker("login")) {
  for (std::size_t i = 0; i < refusals_.size(); ++i)
    refusals_[i] = &metrics.counter("sluice_auth_failures_total", "Logins that were refused",
                                    fmt::format(R"(reason="{}")", refusal_names[i]));
}

Users::~Users() { *alive_ = false; }

void Users::replace(std::shared_ptr<const UserTable> table) {
  table_ = std::move(table);
  ++generation_;
  verified_.clear();
}

// --- logging in

bool Users::login_required() const { return table_ != nullptr && !options_.allow_anonymous; }

Principal Users::principal_of(const Login& login, std::string_view name, bool proven) const {
  auto grant = std::make_shared<Grant>();
  grant->proven = proven;
  return {.name = std::string(name),
          .client_id = std::string(login.client_id),
          .grant = std::move(grant)};
}

Result<Principal> Users::admit(const Login& login) {
  const std::string_view name = login.user.empty() ? login.certificate_name : login.user;
  if (name.empty()) {
    if (login_required())
      return refuse(login, Refusal::anonymous,
                    {Errc::unauthorized, "no user given, and access.allow_anonymous is not set"});
    if (table_ != nullptr && table_->find(anonymous_name) == nullptr)
      return refuse(
          login, Refusal::anonymous,
          {Errc::unauthorized, "no user given, and there are no rules for the user \"anonymous\""});
    return principal_of(login, anonymous_name, true);
  }
  if (table_ == nullptr) return principal_of(login, name, name == login.certificate_name);
  if (name == anonymous_name || table_->find(name) == nullptr)
    return refuse(login, Refusal::unknown_user, {Errc::unauthorized, "unknown user"});
  return principal_of(login, name, true);
}

// What a password is checked against: SHA-256 where there is a choice, being cheaper.
Credential Users::credential_to_check(std::string_view name) const {
  const User* const user = table_->find(name);
  if (user == nullptr || user->credentials.empty()) return table_->decoy(name, Digest::sha256);
  const Credential* const preferred = user->credential(Digest::sha256);
  return preferred != nullptr ? *preferred : user->credentials.front();
}

bool Users::was_right_before(std::string_view user, std::string_view password) const {
  const auto found = verified_.find(std::string(user));
  return found != verified_.end() &&
         found->second.stored_key == credential_to_check(user).stored_key &&
         equal(found->second.mark, hmac(Digest::sha256, cache_key_, password));
}

void Users::log_in(const Login& login, Done<Principal> done) {
  const bool by_certificate =
      login.password.empty() && !login.user.empty() && login.user == login.certificate_name;
  if (table_ == nullptr || login.user.empty() || by_certificate ||
      was_right_before(login.user, login.password))
    return done(admit(login));
  if (waiting_ >= options_.logins_max)
    return done(refuse(login, Refusal::busy, {Errc::busy, "too many logins are waiting"}));

  const auto attempt = std::make_shared<Attempt>(
      Attempt{std::string(login.protocol), std::string(login.peer), std::string(login.client_id),
              std::string(login.user), std::string(login.password), credential_to_check(login.user),
              std::move(done)});
  ++waiting_;
  worker_->submit(
      [attempt, alive = alive_] {
        if (*alive) attempt->right = fits(attempt->credential, attempt->password);
      },
      [this, attempt, alive = alive_] {
        if (*alive) finish(*attempt);
      });
}

void Users::finish(Attempt& attempt) {
  --waiting_;
  const auto done = [&](Result<Principal> outcome) { attempt.done(std::move(outcome)); };
  const Login login = attempt.login();
  const bool unknown = table_ != nullptr && table_->find(attempt.user) == nullptr;
  // The table may have changed meanwhile.
  const bool right = attempt.right && !unknown &&
                     (table_ == nullptr || credential_to_check(attempt.user) == attempt.credential);
  if (!right)
    return done(refuse(login, unknown ? Refusal::unknown_user : Refusal::wrong_password,
                       {Errc::unauthorized, unknown ? "unknown user" : "wrong password"}));
  verified_[attempt.user] = {attempt.credential.stored_key,
                             hmac(Digest::sha256, cache_key_, attempt.password)};
  done(admit(login));
}

Result<Credential> Users::credential(std::string_view user, Digest digest) {
  if (table_ == nullptr) return fail(Errc::unsupported, "there are no users: no login is needed");
  const User* const found = table_->find(user);
  const Credential* const its = found == nullptr ? nullptr : found->credential(digest);
  return its != nullptr ? *its : table_->decoy(user, digest);
}

void Users::refused(const Login& login, const Error& error) {
  const bool known = table_ != nullptr && table_->find(login.user) != nullptr;
  const Refusal refusal = error.code != Errc::unauthorized ? Refusal::malformed
                          : known                          ? Refusal::wrong_password
                                                           : Refusal::unknown_user;
  static_cast<void>(refuse(login, refusal, error));
}

std::unexpected<Error> Users::refuse(const Login& login, Refusal refusal, Error error) {
  refusals_[static_cast<std::size_t>(refusal)]->add();
  if (log_limit_.allow(loop_.wall_ms()))
    logger.warn("login refused", {{"reason", error.text},
                                  {"protocol", login.protocol},
                                  {"peer", login.peer},
                                  {"user", login.user},
                                  {"client", login.client_id},
                                  {"suppressed", log_limit_.take_suppressed()}});
  return std::unexpected(std::move(error));
}

// --- what they may do

// The user in the table of today; null: may do nothing.
const User* Users::user_of(Grant& grant, std::string_view name) const {
  if (grant.generation != generation_) {
    grant.generation = generation_;
    grant.user.reset();
    const bool may_be = name == anonymous_name ? options_.allow_anonymous : grant.proven;
    const User* const user = table_ != nullptr && may_be ? table_->find(name) : nullptr;
    if (user != nullptr) grant.user = std::shared_ptr<const User>(table_, user);
  }
  return grant.user.get();
}

bool Users::unrestricted(const Principal& principal) const {
  if (table_ == nullptr) return true;
  if (principal.grant == nullptr) return false;
  const User* const user = user_of(*principal.grant, principal.name);
  return user != nullptr && user->rules.unrestricted();
}

Result<void> Users::check(const Principal& principal, Action action, std::string_view resource) {
  if (table_ == nullptr) return {};
  const User* const user =
      principal.grant == nullptr ? nullptr : user_of(*principal.grant, principal.name);
  const Asker asker{.user = principal.name, .client_id = principal.client_id, .scratch = scratch_};
  if (user != nullptr && user->rules.allow(asker, action, resource)) return {};
  return fail(Errc::unauthorized, "user \"{}\" may not {} {}", principal.name, to_string(action),
              resource);
}

}  // namespace sluice::access
