#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::access {

// The few cryptographic functions that passwords need, by OpenSSL. Byte strings are std::string.

enum class Digest : std::uint8_t { sha256, sha512 };

std::string hash(Digest digest, std::string_view data);
std::string hmac(Digest digest, std::string_view key, std::string_view data);
// PBKDF2 with HMAC (RFC 8018, section 5.2), as long as the digest. Costs `iterations` HMACs:
// milliseconds.
std::string pbkdf2(Digest digest, std::string_view password, std::string_view salt,
                   std::uint32_t iterations);

std::string random_bytes(std::size_t count);
// In a time that depends on the sizes alone.
bool equal(std::string_view a, std::string_view b);
// Byte by byte; as long as the shorter one.
std::string exclusive_or(std::string_view a, std::string_view b);

// RFC 4648, section 4, with padding. Nothing else is decoded.
std::string base64(std::string_view bytes);
std::optional<std::string> from_base64(std::string_view text);

}  // namespace sluice::access
