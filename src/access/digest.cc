#include "access/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>

#include "base/assert.h"

namespace sluice::access {
namespace {

const EVP_MD* evp(Digest digest) { return digest == Digest::sha256 ? EVP_sha256() : EVP_sha512(); }

std::size_t size_of(Digest digest) { return digest == Digest::sha256 ? 32 : 64; }

unsigned char* raw(std::string& bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

const unsigned char* raw(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

}  // namespace

std::string hash(Digest digest, std::string_view data) {
  std::string out(size_of(digest), '\0');
  const int ok = EVP_Digest(data.data(), data.size(), raw(out), nullptr, evp(digest), nullptr);
  SLUICE_ASSERT(ok == 1);
  return out;
}

std::string hmac(Digest digest, std::string_view key, std::string_view data) {
  std::string out(size_of(digest), '\0');
  // A null key means "as before" to OpenSSL.
  const char* const key_data = key.empty() ? "" : key.data();
  const auto* const done = HMAC(evp(digest), key_data, static_cast<int>(key.size()), raw(data),
                                data.size(), raw(out), nullptr);
  SLUICE_ASSERT(done != nullptr);
  return out;
}

std::string pbkdf2(Digest digest, std::string_view password, std::string_view salt,
                   std::uint32_t iterations) {
  std::string out(size_of(digest), '\0');
  const char* const text = password.empty() ? "" : password.data();
  const int ok = PKCS5_PBKDF2_HMAC(text, static_cast<int>(password.size()), raw(salt),
                                   static_cast<int>(salt.size()), static_cast<int>(iterations),
                                   evp(digest), static_cast<int>(out.size()), raw(out));
  SLUICE_ASSERT(ok == 1);
  return out;
}

std::string random_bytes(std::size_t count) {
  std::string out(count, '\0');
  const int ok = RAND_bytes(raw(out), static_cast<int>(count));
  SLUICE_ASSERT(ok == 1);
  return out;
}

bool equal(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string exclusive_or(std::string_view a, std::string_view b) {
  std::string out(std::min(a.size(), b.size()), '\0');
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<char>(a[i] ^ b[i]);
  return out;
}

std::string base64(std::string_view bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');  // and the NUL that OpenSSL writes
  const int size = EVP_EncodeBlock(raw(out), raw(bytes), static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

std::optional<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string out(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(raw(out), raw(text), static_cast<int>(text.size()));
  if (size < 0) return std::nullopt;
  // OpenSSL decodes padding as zero bytes.
  const auto padding =
      std::min<std::size_t>(2, text.size() - std::min(text.size(), text.find('=')));
  out.resize(static_cast<std::size_t>(size) - padding);
  // It also takes white space and other ways to write the same bytes.
  if (base64(out) != text) return std::nullopt;
  return out;
}

}  // namespace sluice::access
