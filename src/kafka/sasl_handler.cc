#include "kafka/authentication.h"
#include "kafka/handlers.h"

namespace sluice::kafka {

void handle(Call& call, const SaslHandshakeRequest& request, Reply<SaslHandshakeResponse> reply) {
  SaslHandshakeResponse response;
  response.error_code =
      call.authentication.on_handshake(request.mechanism, reply.version(), call.client_id);
  response.mechanisms.assign(access::sasl_mechanisms.begin(), access::sasl_mechanisms.end());
  reply.send(std::move(response));
}

void handle(Call& call, const SaslAuthenticateRequest& request,
            Reply<SaslAuthenticateResponse> reply) {
  call.authentication.on_token(
      as_text(request.auth_bytes),
      [reply = std::move(reply)](const Result<std::string>& answer) mutable {
        if (answer) {
          SaslAuthenticateResponse response;
          append(response.auth_bytes, as_bytes(*answer));
          return reply.send(std::move(response));
        }
        const Error& error = answer.error();
        if (error.code != Errc::busy) {
          reply.send({.error_code = error.code == Errc::invalid
                                        ? ErrorCode::illegal_sasl_state
                                        : ErrorCode::sasl_authentication_failed,
                      .error_message = login_failure_text(error)});
        }
        reply.refuse(Refusal::login_failed, error.text);
      });
}

}  // namespace sluice::kafka
