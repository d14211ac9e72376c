#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "access/credential.h"
#include "base/result.h"

namespace sluice::access {

// The server's side of one SCRAM exchange (RFC 5802; SHA-256 by RFC 7677), without channel binding:
// client-first in, server-first out, client-final in, server-final out. Knows no socket and no
// clock; costs a few HMACs, so it runs on a loop.
//
// Errors: malformed for a message that breaks the grammar, unauthorized for a wrong proof or nonce.
// After an error the exchange is over.
class ScramServer {
 public:
  static constexpr std::size_t message_size_max = 4096;
  using Lookup = std::function<Result<Credential>(std::string_view user)>;

  // `nonce`: printable ASCII without ',', never used before.
  ScramServer(Digest digest, std::string nonce) : digest_(digest), nonce_(std::move(nonce)) {}

  // `lookup` is asked once, before the call returns.
  Result<std::string> on_client_first(std::string_view message, const Lookup& lookup);
  Result<std::string> on_client_final(std::string_view message);
  // Named by the client; empty before client-first. Proven once on_client_final() has succeeded.
  [[nodiscard]] const std::string& user() const { return user_; }

 private:
  [[nodiscard]] bool is_our_nonce(std::string_view nonce) const;
  [[nodiscard]] bool is_proven(std::string_view proof, std::string_view auth_message) const;

  Digest digest_;
  std::string nonce_;  // ours; then the client's in front of ours
  std::string user_;
  std::string client_nonce_;
  std::string gs2_header_;
  std::string auth_message_;  // client-first-bare, server-first
  Credential credential_;
};

}  // namespace sluice::access
