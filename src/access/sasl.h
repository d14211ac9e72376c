#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "access/access.h"
#include "access/scram.h"

namespace sluice::access {

// In the order of preference.
constexpr std::array<std::string_view, 3> sasl_mechanisms{"SCRAM-SHA-512", "SCRAM-SHA-256",
                                                          "PLAIN"};

// The server's side of one SASL exchange (RFC 4422) by any mechanism, for whatever protocol carries
// the tokens. On one shard.
class SaslServer {
 public:
  struct Answer {
    std::string token;
    std::optional<Principal> principal{};  // there is one: the exchange is over, the client is in
  };

  // `mechanism` is one of sasl_mechanisms. What `peer` shows (protocol, address, client id) goes
  // into the log; its views are copied.
  SaslServer(Access& access, std::string_view mechanism, const Login& peer);

  // One token of the client; the next one is given when `done` has run, now or later, even when
  // this object is gone by then. Errors (malformed, unauthorized, busy, unsupported) end the
  // exchange; they are counted and logged, and their text is not for the client.
  void step(std::string_view token, Done<Answer> done);

 private:
  void step_plain(std::string_view token, Done<Answer> done);
  Result<Answer> step_scram(std::string_view token);
  [[nodiscard]] Login login_of(std::string_view user) const;

  Access& access_;
  std::string protocol_;
  std::string peer_;
  std::string client_id_;
  std::optional<ScramServer> scram_;  // none: PLAIN
  Digest digest_ = Digest::sha256;    // of scram_
  bool first_ = true;
};

}  // namespace sluice::access
