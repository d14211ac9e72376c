#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/task.h"

namespace sluice::access {

// Who is on the other side of a connection.
struct Principal {
  std::string name = "anonymous";
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
  subscribe,   // resource: MQTT filter
  read,        // resource: stream
  write,       // resource: stream
  describe,    // resource: stream
  create,      // resource: stream
  remove,      // resource: stream
  administer,  // resource: empty; the admin port
};

std::string_view to_string(Action action);

// The one interface that all faces ask. One object per shard.
class Access {
 public:
  virtual ~Access() = default;
  // Errc::unauthorized with a reason for the log; the peer is told no more than its protocol says.
  virtual Result<Principal> authenticate(const Login& login) = 0;
  // The same where a password may have to be hashed, which is done on helper threads: `done` runs
  // on this shard, now or later. What the views of `login` show is copied. Errc::busy: too many
  // logins are waiting.
  virtual void log_in(const Login& login, Done<Principal> done) = 0;
  virtual Result<void> check(const Principal& principal, Action action,
                             std::string_view resource) = 0;
  // True when check() would allow everything: callers may then skip it on the message path.
  [[nodiscard]] virtual bool unrestricted(const Principal& principal) const = 0;
};

// Everybody may do everything. For hubs that listen on loopback only.
class AllowAll final : public Access {
 public:
  Result<Principal> authenticate(const Login& login) override;
  void log_in(const Login& login, Done<Principal> done) override { done(authenticate(login)); }
  Result<void> check(const Principal& principal, Action action, std::string_view resource) override;
  [[nodiscard]] bool unrestricted(const Principal& principal) const override;
};

}  // namespace sluice::access
