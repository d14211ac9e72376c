#include "access/sasl.h"

#include "base/assert.h"
#include "base/utf8.h"

namespace sluice::access {
namespace {

constexpr std::size_t nonce_bytes = 18;  // as text 24 characters

std::optional<Digest> digest_of(std::string_view mechanism) {
  for (const Digest digest : {Digest::sha256, Digest::sha512})
    if (mechanism == mechanism_name(digest)) return digest;
  return std::nullopt;
}

struct PlainMessage {
  std::string_view user;
  std::string_view password;
};

// RFC 4616: [authzid] NUL authcid NUL passwd
Result<PlainMessage> parse_plain(std::string_view token) {
  const auto first = token.find('\0');
  const auto second = first == token.npos ? first : token.find('\0', first + 1);
  if (second == token.npos) return fail(Errc::malformed, "PLAIN: two NULs expected");
  const auto authorisation = token.substr(0, first);
  const PlainMessage message{token.substr(first + 1, second - first - 1), token.substr(second + 1)};
  if (message.user.empty() || message.password.empty() || message.password.contains('\0') ||
      !is_valid_utf8(token))
    return fail(Errc::malformed, "PLAIN: the message is not well-formed");
  if (!authorisation.empty() && authorisation != message.user)
    return fail(Errc::unauthorized, "nobody may act for somebody else");
  return message;
}

}  // namespace

SaslServer::SaslServer(Access& access, std::string_view mechanism, const Login& peer)
    : access_(access), protocol_(peer.protocol), peer_(peer.peer), client_id_(peer.client_id) {
  const auto digest = digest_of(mechanism);
  SLUICE_ASSERT(digest || mechanism == "PLAIN");
  if (digest) scram_.emplace(*digest, base64(random_bytes(nonce_bytes)));
  digest_ = digest.value_or(Digest::sha256);
}

Login SaslServer::login_of(std::string_view user) const {
  return {
      .protocol = protocol_, .peer = peer_, .client_id = client_id_, .user = user, .password = {}};
}

void SaslServer::step(std::string_view token, Done<Answer> done) {
  if (!scram_) return step_plain(token, std::move(done));
  auto answer = step_scram(token);
  done(std::move(answer));
}

void SaslServer::step_plain(std::string_view token, Done<Answer> done) {
  const auto message = parse_plain(token);
  if (!message) {
    access_.refused(login_of({}), message.error());
    return done(std::unexpected(message.error()));
  }
  Login login = login_of(message->user);
  login.password = message->password;
  access_.log_in(login, [done = std::move(done)](Result<Principal> principal) mutable {
    if (!principal) return done(std::unexpected(std::move(principal.error())));
    done(Answer{.token = {}, .principal = std::move(*principal)});
  });
}

Result<SaslServer::Answer> SaslServer::step_scram(std::string_view token) {
  const bool first = std::exchange(first_, false);
  auto answer = first ? scram_->on_client_first(
                            token, [&](auto user) { return access_.credential(user, digest_); })
                      : scram_->on_client_final(token);
  if (!answer) {
    access_.refused(login_of(scram_->user()), answer.error());
    return std::unexpected(std::move(answer.error()));
  }
  if (first) return Answer{.token = std::move(*answer)};
  SLUICE_TRY_ASSIGN(Principal principal, access_.admit(login_of(scram_->user())));
  return Answer{.token = std::move(*answer), .principal = std::move(principal)};
}

}  // namespace sluice::access
