#include "kafka/authentication.h"

#include <algorithm>

namespace sluice::kafka {
std::string login_failure_text(const Error& error) {
  switch (error.code) {
    case Errc::unauthorized:
      return "authentication failed: wrong user or password";
    case Errc::invalid:
    case Errc::unsupported:
    case Errc::malformed:
      return error.text;
    default:
      return "authentication failed";
  }
}

bool Authentication::must_admit(ApiKey key) const {
  return !admitted_ && key != ApiKey::api_versions && key != ApiKey::sasl_handshake &&
         key != ApiKey::sasl_authenticate;
}

Result<void> Authentication::admit(std::string_view client_id, std::string_view certificate_name) {
  SLUICE_TRY_ASSIGN(principal_, access_.admit({.protocol = "kafka",
                                               .peer = peer_,
                                               .client_id = client_id,
                                               .user = {},
                                               .password = {},
                                               .certificate_name = certificate_name}));
  admitted_ = true;
  return {};
}

ErrorCode Authentication::on_handshake(std::string_view mechanism, std::int16_t version,
                                       std::string_view client_id) {
  if (std::ranges::find(access::sasl_mechanisms, mechanism) == access::sasl_mechanisms.end())
    return ErrorCode::unsupported_sasl_mechanism;
  bare_tokens_ = version == 0;
  exchange_ = std::make_unique<access::SaslServer>(
      access_, mechanism,
      access::Login{
          .protocol = "kafka", .peer = peer_, .client_id = client_id, .user = {}, .password = {}});
  return ErrorCode::none;
}

void Authentication::on_token(std::string_view token, Done<std::string> done) {
  if (exchange_ == nullptr)
    return done(fail(Errc::invalid, "no mechanism was chosen by SaslHandshake"));
  exchange_->step(token, [self = weak_from_this(), done = std::move(done)](
                             Result<access::SaslServer::Answer> answer) mutable {
    if (const auto alive = self.lock()) alive->finish(std::move(answer), std::move(done));
  });
}

void Authentication::finish(Result<access::SaslServer::Answer> answer, Done<std::string> done) {
  if (!answer) return fail_later(std::move(answer.error()), std::move(done));
  if (answer->principal) {
    if (logged_in_ && answer->principal->name != principal_.name)
      return fail_later({Errc::unauthorized, "a connection stays with its user"}, std::move(done));
    principal_ = std::move(*answer->principal);
    admitted_ = true;
    logged_in_ = true;
    exchange_.reset();
  }
  done(std::move(answer->token));
}

void Authentication::fail_later(Error error, Done<std::string> done) {
  exchange_.reset();
  if (error.code == Errc::busy) return done(std::unexpected(std::move(error)));
  loop_.run_after(failure_delay, [error = std::move(error), done = std::move(done)]() mutable {
    done(std::unexpected(std::move(error)));
  });
}

}  // namespace sluice::kafka
