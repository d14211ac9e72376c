#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "access/digest.h"
#include "base/result.h"

namespace sluice::access {

constexpr std::uint32_t iterations_default = 16'384;
constexpr std::uint32_t iterations_min = 4'096;  // RFC 7677, section 4
constexpr std::uint32_t iterations_max = 1'000'000;

// What is kept of a password: enough for SCRAM (RFC 5802) and to check the password itself, not
// enough to log in with.
struct Credential {
  Digest digest = Digest::sha256;
  std::uint32_t iterations = 0;
  std::string salt;
  std::string stored_key;  // H(HMAC(SaltedPassword, "Client Key"))
  std::string server_key;  // HMAC(SaltedPassword, "Server Key")
  friend bool operator==(const Credential&, const Credential&) = default;
};

// "SCRAM-SHA-256", "SCRAM-SHA-512"
std::string_view mechanism_name(Digest digest);

// Costs what checking the password costs. Passwords are taken byte by byte, without SASLprep, as
// Apache Kafka does.
Credential make_credential(Digest digest, std::string_view password, std::string_view salt,
                           std::uint32_t iterations = iterations_default);
bool fits(const Credential& credential, std::string_view password);

// "SCRAM-SHA-256$16384:<salt>$<stored key>:<server key>", the notation of RFC 5803 (for SCRAM-SHA-1
// there). Errc::malformed never repeats the text, which is nearly a password.
std::string format_credential(const Credential& credential);
Result<Credential> parse_credential(std::string_view text);

}  // namespace sluice::access
