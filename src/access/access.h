#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "access/credential.h"
#include "base/result.h"
#include "base/task.h"

namespace sluice::access {

// What a user may do, as Users (users.h) knows it on one shard.
struct Grant;

// Who is on the other side of a connection. Rules are looked up by check(), so a change of them
// holds for connections that are open, too.
struct Principal {
  std::string name = "anonymous";
  std::string client_id{};
  std::shared_ptr<Grant> grant{};  // null: only AllowAll knows what to make of it
};

// What a peer shows of itself when it connects.
struct Login {
  std::string_view protocol;  // "mqtt", "kafka", "http"
  std::string_view peer;      // address and port
  std::string_view client_id;
  std::string_view user;
  std::string_view password;
  std::string_view certificate_name{};  // common name of the client's verified certificate
};

enum class Action : std::uint8_t {
  publish,     // resource: MQTT topic
  subscribe,   // resource: MQTT filter, also "$share/<group>/<filter>"
  read,        // resource: stream
  write,       // resource: stream
  describe,    // resource: stream
  create,      // resource: stream
  alter,       // resource: stream; its settings and number of partitions
  remove,      // resource: stream; also its records
  use_group,   // resource: consumer group; for whoever may read something
  administer,  // resource: empty; the admin port, the broker as a whole
};

std::string_view to_string(Action action);

// The one interface that all faces ask. One object per shard. Refused logins are counted and logged
// here, so callers need not.
class Access {
 public:
  virtual ~Access() = default;
  // A password may have to be hashed, which is done on helper threads: `done` runs on this shard,
  // now or later. What the views of `login` show is copied. Errc::unauthorized with a reason for
  // the log (the peer is told no more than its protocol says); Errc::busy: too many logins are
  // waiting.
  virtual void log_in(const Login& login, Done<Principal> done) = 0;
  // For who needs no password: `login.user` has proven itself by other means (SCRAM); without a
  // user, the name of the certificate, or anonymous if that is allowed. Errors as above.
  virtual Result<Principal> admit(const Login& login) = 0;
  // Whether nobody gets in without a user.
  [[nodiscard]] virtual bool login_required() const = 0;
  // What SCRAM has to know of a user. Where there is no such user or credential: a decoy, which no
  // proof fits. Errc::unsupported: there are no users at all.
  virtual Result<Credential> credential(std::string_view user, Digest digest) = 0;
  // A login that failed outside of log_in() and admit(): counts and logs it.
  virtual void refused(const Login& login, const Error& error) = 0;

  virtual Result<void> check(const Principal& principal, Action action,
                             std::string_view resource) = 0;
  // True when check() would allow everything: callers may then skip it on the message path. Rules
  // can change while a connection is open: ask again for each batch of messages.
  [[nodiscard]] virtual bool unrestricted(const Principal& principal) const = 0;
};

// Everybody may do everything: for tests of other things.
class AllowAll final : public Access {
 public:
  void log_in(const Login& login, Done<Principal> done) override { done(admit(login)); }
  Result<Principal> admit(const Login& login) override;
  [[nodiscard]] bool login_required() const override { return false; }
  Result<Credential> credential(std::string_view user, Digest digest) override;
  void refused(const Login& login, const Error& error) override;
  Result<void> check(const Principal& principal, Action action, std::string_view resource) override;
  [[nodiscard]] bool unrestricted(const Principal& principal) const override;
};

}  // namespace sluice::access
