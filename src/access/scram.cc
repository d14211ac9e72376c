#include "access/scram.h"

#include <algorithm>
#include <optional>

#include "base/utf8.h"

namespace sluice::access {
namespace {

// Takes the attributes of a message one by one: "n=user,r=nonce".
class Attributes {
 public:
  explicit Attributes(std::string_view text) : rest_(text) {}

  [[nodiscard]] std::string_view rest() const { return rest_; }
  std::string_view next() {
    const auto part = rest_.substr(0, rest_.find(','));
    rest_.remove_prefix(std::min(rest_.size(), part.size() + 1));
    return part;
  }
  // The value of the next attribute, which must be the one named.
  Result<std::string_view> value(char name) {
    const auto part = next();
    if (part.size() < 2 || part[0] != name || part[1] != '=')
      return fail(Errc::malformed, "SCRAM: '{}=' expected", name);
    return part.substr(2);
  }

 private:
  std::string_view rest_;
};

// "=2C" is a comma, "=3D" an equals sign (saslname).
std::optional<std::string> decode_name(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    if (text.front() != '=') {
      out += text.front();
      text.remove_prefix(1);
      continue;
    }
    const auto code = text.substr(0, 3);
    if (code != "=2C" && code != "=3D") return std::nullopt;
    out += code == "=2C" ? ',' : '=';
    text.remove_prefix(3);
  }
  if (out.empty() || !is_valid_utf8(out)) return std::nullopt;
  return out;
}

bool is_nonce(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](char c) { return c >= 0x21 && c <= 0x7e && c != ','; });
}

Result<void> check_size(std::string_view message) {
  if (message.size() <= ScramServer::message_size_max) return {};
  return fail(Errc::malformed, "SCRAM: a message of {} bytes is over {}", message.size(),
              ScramServer::message_size_max);
}

}  // namespace

Result<std::string> ScramServer::on_client_first(std::string_view message, const Lookup& lookup) {
  SLUICE_TRY(check_size(message));
  Attributes attributes(message);
  const auto binding = attributes.next();
  if (binding.starts_with("p="))
    return fail(Errc::malformed, "SCRAM: channel binding is not offered");
  if (binding != "n" && binding != "y")
    return fail(Errc::malformed, "SCRAM: the message does not begin with 'n,' or 'y,'");
  const auto authorisation = attributes.next();
  if (!authorisation.empty() && !authorisation.starts_with("a="))
    return fail(Errc::malformed, "SCRAM: 'a=' or nothing expected");
  const auto bare = attributes.rest();
  gs2_header_ = message.substr(0, message.size() - bare.size());

  SLUICE_TRY_ASSIGN(const auto name, attributes.value('n'));
  auto user = decode_name(name);
  if (!user) return fail(Errc::malformed, "SCRAM: the user's name is not well-formed");
  user_ = std::move(*user);
  if (!authorisation.empty() && decode_name(authorisation.substr(2)) != user_)
    return fail(Errc::unauthorized, "nobody may act for somebody else");
  SLUICE_TRY_ASSIGN(const auto client_nonce, attributes.value('r'));
  if (!is_nonce(client_nonce)) return fail(Errc::malformed, "SCRAM: the nonce is not well-formed");
  client_nonce_ = client_nonce;  // optional extensions behind it are passed over

  SLUICE_TRY_ASSIGN(credential_, lookup(user_));
  nonce_ = client_nonce_ + nonce_;
  std::string answer =
      fmt::format("r={},s={},i={}", nonce_, base64(credential_.salt), credential_.iterations);
  auth_message_ = fmt::format("{},{}", bare, answer);
  return answer;
}

Result<std::string> ScramServer::on_client_final(std::string_view message) {
  SLUICE_TRY(check_size(message));
  const auto proof_at = message.rfind(",p=");
  if (proof_at == message.npos) return fail(Errc::malformed, "SCRAM: 'p=' is missing");
  const auto without_proof = message.substr(0, proof_at);
  const auto proof = from_base64(message.substr(proof_at + 3));
  if (!proof) return fail(Errc::malformed, "SCRAM: the proof is no base64");

  Attributes attributes(without_proof);
  SLUICE_TRY_ASSIGN(const auto binding, attributes.value('c'));
  if (binding != base64(gs2_header_))
    return fail(Errc::malformed, "SCRAM: 'c=' does not repeat the beginning of the first message");
  SLUICE_TRY_ASSIGN(const auto nonce, attributes.value('r'));
  if (!is_our_nonce(nonce)) return fail(Errc::unauthorized, "SCRAM: the nonce is another one");

  const std::string auth_message = fmt::format("{},{}", auth_message_, without_proof);
  if (!is_proven(*proof, auth_message)) return fail(Errc::unauthorized, "wrong password");
  return fmt::format("v={}", base64(hmac(digest_, credential_.server_key, auth_message)));
}

// librdkafka before 2.6.1 puts its own nonce in front of the joint one once more; the proof counts
// what it has sent. Nothing else is accepted.
bool ScramServer::is_our_nonce(std::string_view nonce) const {
  if (client_nonce_.empty()) return false;  // there was no first message
  return nonce == nonce_ || nonce == client_nonce_ + nonce_;
}

bool ScramServer::is_proven(std::string_view proof, std::string_view auth_message) const {
  if (proof.size() != credential_.stored_key.size()) return false;
  const std::string signature = hmac(digest_, credential_.stored_key, auth_message);
  return equal(hash(digest_, exclusive_or(proof, signature)), credential_.stored_key);
}

}  // namespace sluice::access
