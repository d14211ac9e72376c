#include "access/credential.h"

#include <array>
#include <utility>

#include "base/units.h"

namespace sluice::access {
namespace {

// RFC 5802, section 3.
constexpr std::string_view client_key_text = "Client Key";
constexpr std::string_view server_key_text = "Server Key";

// What stands before `separator`; `rest` keeps what stands behind it. All of it when there is none.
std::string_view cut(std::string_view& rest, char separator) {
  const auto at = rest.find(separator);
  const auto part = rest.substr(0, at);
  rest.remove_prefix(at == rest.npos ? rest.size() : at + 1);
  return part;
}

std::string stored_key_of(Digest digest, std::string_view salted_password) {
  return hash(digest, hmac(digest, salted_password, client_key_text));
}

Result<Digest> parse_mechanism(std::string_view name) {
  for (const Digest digest : {Digest::sha256, Digest::sha512})
    if (name == mechanism_name(digest)) return digest;
  return fail(Errc::malformed, "a password begins with SCRAM-SHA-256$ or SCRAM-SHA-512$");
}

Result<std::uint32_t> parse_iterations(std::string_view text) {
  const auto count = parse_integer(text);
  if (!count || *count < iterations_min || *count > iterations_max)
    return fail(Errc::malformed, "a password's iterations must be from {} to {}", iterations_min,
                iterations_max);
  return static_cast<std::uint32_t>(*count);
}

}  // namespace

std::string_view mechanism_name(Digest digest) {
  return digest == Digest::sha256 ? "SCRAM-SHA-256" : "SCRAM-SHA-512";
}

Credential make_credential(Digest digest, std::string_view password, std::string_view salt,
                           std::uint32_t iterations) {
  const std::string salted = pbkdf2(digest, password, salt, iterations);
  return {.digest = digest,
          .iterations = iterations,
          .salt = std::string(salt),
          .stored_key = stored_key_of(digest, salted),
          .server_key = hmac(digest, salted, server_key_text)};
}

bool fits(const Credential& credential, std::string_view password) {
  const std::string salted =
      pbkdf2(credential.digest, password, credential.salt, credential.iterations);
  return equal(stored_key_of(credential.digest, salted), credential.stored_key);
}

std::string format_credential(const Credential& credential) {
  return fmt::format("{}${}:{}${}:{}", mechanism_name(credential.digest), credential.iterations,
                     base64(credential.salt), base64(credential.stored_key),
                     base64(credential.server_key));
}

Result<Credential> parse_credential(std::string_view text) {
  SLUICE_TRY_ASSIGN(const Digest digest, parse_mechanism(cut(text, '$')));
  SLUICE_TRY_ASSIGN(const std::uint32_t iterations, parse_iterations(cut(text, ':')));
  auto salt = from_base64(cut(text, '$'));
  auto stored_key = from_base64(cut(text, ':'));
  auto server_key = from_base64(text);
  const std::size_t size = hash(digest, {}).size();
  if (!salt || salt->empty() || !stored_key || stored_key->size() != size || !server_key ||
      server_key->size() != size)
    return fail(Errc::malformed,
                "a password must be MECHANISM$ITERATIONS:SALT$STORED_KEY:SERVER_KEY, with keys of "
                "{} bytes in base64",
                size);
  return Credential{digest, iterations, std::move(*salt), std::move(*stored_key),
                    std::move(*server_key)};
}

}  // namespace sluice::access
