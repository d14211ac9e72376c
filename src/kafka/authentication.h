#pragma once

#include <memory>
#include <optional>
#include <string>

#include "access/sasl.h"
#include "kafka/api.h"
#include "kafka/error_code.h"
#include "runtime/loop.h"

namespace sluice::kafka {

// Who the client of a connection is, and how far it has come in showing it.
//
// SaslHandshake chooses a mechanism; tokens follow, in SaslAuthenticate requests after version 1 of
// it, bare in frames after version 0. Both may come again on the same connection, for the same user
// (KIP-368). A client that sends other requests instead is who its certificate says, or anonymous.
//
// Shard: that of its connection. Life: shared with the answers to tokens, which may outlive the
// connection.
class Authentication : public std::enable_shared_from_this<Authentication> {
 public:
  // A refused login is answered so much later, to slow down guessing (as Apache Kafka does).
  static constexpr runtime::Duration failure_delay = std::chrono::milliseconds(100);

  Authentication(runtime::Loop& loop, access::Access& access, std::string peer)
      : loop_(loop), access_(access), peer_(std::move(peer)) {}

  // Whether a request of this kind can only be taken after admit().
  [[nodiscard]] bool must_admit(ApiKey key) const;
  // Without SASL: by certificate, or as anonymous. The error says what is missing.
  Result<void> admit(std::string_view client_id, std::string_view certificate_name);
  // Of somebody who may do nothing as long as nobody was admitted.
  [[nodiscard]] const access::Principal& principal() const { return principal_; }
  [[nodiscard]] bool admitted() const { return admitted_; }

  ErrorCode on_handshake(std::string_view mechanism, std::int16_t version,
                         std::string_view client_id);
  // Whether the next frame is a token and not a request.
  [[nodiscard]] bool expects_bare_token() const { return bare_tokens_ && exchange_ != nullptr; }
  // `done` gets the token to answer with, now or later; errors end the exchange and the connection:
  // Errc::busy without an answer, so that the client tries again, invalid when no mechanism was
  // chosen, all others after failure_delay.
  void on_token(std::string_view token, Done<std::string> done);

 private:
  void finish(Result<access::SaslServer::Answer> answer, Done<std::string> done);
  void fail_later(Error error, Done<std::string> done);

  runtime::Loop& loop_;
  access::Access& access_;
  std::string peer_;
  access::Principal principal_{.name = {}};
  bool admitted_ = false;
  bool logged_in_ = false;  // by SASL
  bool bare_tokens_ = false;
  std::unique_ptr<access::SaslServer> exchange_;  // under way
};

// What a refused client is told: no more than it must know.
std::string login_failure_text(const Error& error);

}  // namespace sluice::kafka
