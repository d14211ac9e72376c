#include "net/tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <ctime>

#include "net/openssl.h"

namespace sluice::net {

namespace {

// Forward secrecy and authenticated encryption; what TLS 1.2 has beyond that has fallen out of use.
constexpr const char* tls_1_2_ciphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr long ticket_lifetime_s = 3600;
constexpr std::string_view session_id_context = "sluice";

BioPtr reader_of(const PemFile& file) {
  return BioPtr(BIO_new_mem_buf(file.content.data(), static_cast<int>(file.content.size())));
}

// A server has no terminal to ask at.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*for_writing*/, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

Result<std::vector<CertificatePtr>> read_certificates(const PemFile& file) {
  ERR_clear_error();
  std::vector<CertificatePtr> certificates;
  const BioPtr reader = reader_of(file);
  while (X509* next = PEM_read_bio_X509(reader.get(), nullptr, nullptr, nullptr))
    certificates.emplace_back(next);
  const bool at_end = ERR_GET_REASON(ERR_peek_error()) == PEM_R_NO_START_LINE;
  if (certificates.empty() && at_end)
    return fail(Errc::malformed, "{}: no certificate in PEM format", file.name);
  if (!at_end)
    return fail(Errc::malformed, "{}: certificate {} is damaged: {}", file.name,
                certificates.size() + 1, take_openssl_error());
  ERR_clear_error();
  return certificates;
}

Result<KeyPtr> read_key(const PemFile& file) {
  ERR_clear_error();
  bool asked = false;
  KeyPtr key(PEM_read_bio_PrivateKey(reader_of(file).get(), nullptr, no_passphrase, &asked));
  if (key) return key;
  const std::string reason = take_openssl_error();
  if (asked)
    return fail(Errc::malformed, "{}: the key needs a passphrase; store it without one", file.name);
  return fail(Errc::malformed, "{}: no private key in PEM format: {}", file.name, reason);
}

WallMs to_wall_ms(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return INT64_MAX;
  return static_cast<WallMs>(timegm(&parts)) * 1000;
}

std::string date_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return "an unknown date";
  return fmt::format("{:04}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
}

int verify_mode(ClientCertificates wanted) {
  switch (wanted) {
    case ClientCertificates::off:
      return SSL_VERIFY_NONE;
    case ClientCertificates::optional:
      return SSL_VERIFY_PEER;
    case ClientCertificates::required:
      return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  }
  return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
}

void set_protocol(SSL_CTX& context, TlsVersion version_min) {
  SSL_CTX_set_min_proto_version(
      &context, version_min == TlsVersion::tls_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
  SSL_CTX_set_options(&context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                    SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_cipher_list(&context, tls_1_2_ciphers);
  // An idle connection has no buffers; a receive takes what the socket has, not record by record.
  SSL_CTX_set_mode(&context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                 SSL_MODE_ENABLE_PARTIAL_WRITE);
  SSL_CTX_set_read_ahead(&context, 1);
  // Sessions are resumed by tickets, which the clients keep.
  SSL_CTX_set_session_cache_mode(&context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(&context, 1);
  SSL_CTX_set_timeout(&context, ticket_lifetime_s);
  SSL_CTX_set_session_id_context(&context,
                                 reinterpret_cast<const unsigned char*>(session_id_context.data()),
                                 static_cast<unsigned>(session_id_context.size()));
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

}  // namespace

void TlsContext::CtxDeleter::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }

TlsContext::~TlsContext() = default;

Result<std::shared_ptr<const TlsContext>> TlsContext::make(const TlsOptions& options, WallMs now) {
  std::shared_ptr<TlsContext> made(new TlsContext);
  SLUICE_TRY_ASSIGN(made->default_, made->make_ctx(options, options.credentials, now));
  for (const auto& [name, credentials] : options.hosts) {
    SLUICE_TRY_ASSIGN(made->hosts_[lower_case(name)], made->make_ctx(options, credentials, now));
  }
  // The macro for this has a cast of the old style.
  SSL_CTX_callback_ctrl(made->default_.get(), SSL_CTRL_SET_TLSEXT_SERVERNAME_CB,
                        reinterpret_cast<void (*)()>(&TlsContext::on_server_name));
  SSL_CTX_set_tlsext_servername_arg(made->default_.get(), made.get());
  return made;
}

Result<TlsContext::CtxPtr> TlsContext::make_ctx(const TlsOptions& options,
                                                const Credentials& credentials, WallMs now) {
  ERR_clear_error();
  CtxPtr context(SSL_CTX_new(TLS_server_method()));
  if (!context) return fail(Errc::io, "OpenSSL: {}", take_openssl_error());
  set_protocol(*context, options.version_min);
  SLUICE_TRY(use_credentials(*context, credentials, now));
  SLUICE_TRY(use_client_ca(*context, options));
  return context;
}

Result<void> TlsContext::use_credentials(ssl_ctx_st& context, const Credentials& credentials,
                                         WallMs now) {
  const std::string& name = credentials.certificate.name;
  SLUICE_TRY_ASSIGN(auto chain, read_certificates(credentials.certificate));
  SLUICE_TRY_ASSIGN(const KeyPtr key, read_key(credentials.key));
  X509* own = chain.front().get();
  if (X509_check_private_key(own, key.get()) != 1) {
    ERR_clear_error();
    return fail(Errc::malformed, "{}: the key does not belong to the certificate {}",
                credentials.key.name, name);
  }
  if (SSL_CTX_use_certificate(&context, own) != 1)
    return fail(Errc::malformed, "{}: {}", name, take_openssl_error());
  if (SSL_CTX_use_PrivateKey(&context, key.get()) != 1)
    return fail(Errc::malformed, "{}: {}", credentials.key.name, take_openssl_error());
  for (std::size_t i = 1; i < chain.size(); ++i)
    if (SSL_CTX_add1_chain_cert(&context, chain[i].get()) != 1)
      return fail(Errc::malformed, "{}: certificate {}: {}", name, i + 1, take_openssl_error());

  const WallMs expires = to_wall_ms(X509_get0_notAfter(own));
  expires_ = std::min(expires_, expires);
  if (expires <= now)
    warnings_.push_back(
        fmt::format("{}: the certificate expired on {}", name, date_of(X509_get0_notAfter(own))));
  if (to_wall_ms(X509_get0_notBefore(own)) > now)
    warnings_.push_back(fmt::format("{}: the certificate is not valid before {}", name,
                                    date_of(X509_get0_notBefore(own))));
  return {};
}

Result<void> TlsContext::use_client_ca(ssl_ctx_st& context, const TlsOptions& options) {
  SSL_CTX_set_verify(&context, verify_mode(options.client_certificates), nullptr);
  if (options.client_certificates == ClientCertificates::off) return {};
  if (!options.client_ca)
    return fail(Errc::malformed,
                "client certificates are asked for, without an authority for them");
  SLUICE_TRY_ASSIGN(const auto authorities, read_certificates(*options.client_ca));
  for (const auto& authority : authorities) {
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(&context), authority.get()) != 1 ||
        SSL_CTX_add_client_CA(&context, authority.get()) != 1)
      return fail(Errc::malformed, "{}: {}", options.client_ca->name, take_openssl_error());
  }
  return {};
}

ssl_st* TlsContext::new_session() const { return SSL_new(default_.get()); }

ssl_ctx_st* TlsContext::find_host(std::string_view name) const {
  const std::string wanted = lower_case(name);
  auto found = hosts_.find(wanted);
  const std::size_t dot = wanted.find('.');
  if (found == hosts_.end() && dot != std::string::npos)
    found = hosts_.find("_" + wanted.substr(dot));
  return found == hosts_.end() ? nullptr : found->second.get();
}

// A name that nobody knows gets the default certificate; the client judges.
int TlsContext::on_server_name(ssl_st* session, int* /*alert*/, void* self) {
  const char* name = SSL_get_servername(session, TLSEXT_NAMETYPE_host_name);
  if (name == nullptr) return SSL_TLSEXT_ERR_NOACK;
  if (SSL_CTX* host = static_cast<const TlsContext*>(self)->find_host(name))
    SSL_set_SSL_CTX(session, host);
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace sluice::net
