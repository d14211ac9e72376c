#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

struct ssl_ctx_st;  // OpenSSL's SSL_CTX
struct ssl_st;      // SSL

namespace sluice::net {

// What a file of the PEM format holds, and its name for error texts.
struct PemFile {
  std::string name;
  std::string content;
};

struct Credentials {
  PemFile certificate;  // and its chain, the server's own first
  PemFile key;          // without a passphrase
};

enum class ClientCertificates : std::uint8_t { off, optional, required };
enum class TlsVersion : std::uint8_t { tls_1_2, tls_1_3 };

struct TlsOptions {
  Credentials credentials{};
  // Others by the name that the client asks for (SNI): "hub.example.org", or "_.example.org" for
  // all names one level below example.org. An exact name goes first.
  std::map<std::string, Credentials> hosts{};
  std::optional<PemFile> client_ca{};  // needed unless client certificates are off
  ClientCertificates client_certificates = ClientCertificates::off;
  TlsVersion version_min = TlsVersion::tls_1_2;
};

// What a server needs to speak TLS, as loaded once from certificates and keys. It does not change:
// a reload makes another one for the connections of then, and those made with the old one keep it
// alive. Session tickets are good for one context only, so they do not outlive a reload.
//
// Thread-safe; shared by all shards.
class TlsContext {
 public:
  // Errors (malformed) name the file and what is wrong with it.
  static Result<std::shared_ptr<const TlsContext>> make(const TlsOptions& options, WallMs now);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  // Certificates that are in use though clients will refuse them: "a.crt: expired on ...".
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }
  // When the first of them expires.
  [[nodiscard]] WallMs expires() const { return expires_; }

  // For TlsStream: an SSL object of a new connection.
  [[nodiscard]] ssl_st* new_session() const;

 private:
  struct CtxDeleter {
    void operator()(ssl_ctx_st* context) const;
  };
  using CtxPtr = std::unique_ptr<ssl_ctx_st, CtxDeleter>;

  TlsContext() = default;
  Result<CtxPtr> make_ctx(const TlsOptions& options, const Credentials& credentials, WallMs now);
  Result<void> use_credentials(ssl_ctx_st& context, const Credentials& credentials, WallMs now);
  static Result<void> use_client_ca(ssl_ctx_st& context, const TlsOptions& options);
  [[nodiscard]] ssl_ctx_st* find_host(std::string_view name) const;
  static int on_server_name(ssl_st* session, int* alert, void* self);

  CtxPtr default_;
  std::map<std::string, CtxPtr, std::less<>> hosts_;
  std::vector<std::string> warnings_;
  WallMs expires_ = INT64_MAX;
};

}  // namespace sluice::net
