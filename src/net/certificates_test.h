#pragma once

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <string>

#include "base/assert.h"
#include "net/openssl.h"
#include "net/tls_context.h"

namespace sluice::net {

// Makes certificates for one run of a test, so that none can expire in the repository.
class TestAuthority {
 public:
  static constexpr long day_s = 24 * 3600;

  explicit TestAuthority(const std::string& name = "test authority")
      : key_(EVP_EC_gen("P-256")), certificate_(sign(name, key_.get(), nullptr, -day_s, day_s)) {}

  // Valid from a day ago until `valid_s` from now.
  Credentials issue(const std::string& common_name, long valid_s = day_s) {
    const KeyPtr key(EVP_EC_gen("P-256"));
    const CertificatePtr certificate =
        sign(common_name, key.get(), certificate_.get(), -2 * day_s, valid_s);
    return {{common_name + ".crt", to_pem(certificate.get())},
            {common_name + ".key", to_pem(key.get())}};
  }

  [[nodiscard]] PemFile certificate() const { return {"ca.crt", to_pem(certificate_.get())}; }
  [[nodiscard]] X509* x509() const { return certificate_.get(); }

  static std::string to_pem(X509* certificate) {
    const BioPtr out(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(out.get(), certificate);
    return text_of(out.get());
  }
  static std::string to_pem(EVP_PKEY* key, const char* passphrase = nullptr) {
    const BioPtr out(BIO_new(BIO_s_mem()));
    PEM_write_bio_PKCS8PrivateKey(out.get(), key, passphrase ? EVP_aes_128_cbc() : nullptr,
                                  passphrase, passphrase ? 4 : 0, nullptr, nullptr);
    return text_of(out.get());
  }

 private:
  static std::string text_of(BIO* bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    return {data, static_cast<std::size_t>(size)};
  }

  CertificatePtr sign(const std::string& common_name, EVP_PKEY* key, X509* issuer, long from_s,
                      long until_s) {
    CertificatePtr certificate(X509_new());
    X509* x = certificate.get();
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial_);
    X509_gmtime_adj(X509_getm_notBefore(x), from_s);
    X509_gmtime_adj(X509_getm_notAfter(x), until_s);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(common_name.data()),
                               static_cast<int>(common_name.size()), -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(issuer ? issuer : x));
    X509_EXTENSION* basic = X509V3_EXT_conf_nid(nullptr, nullptr, NID_basic_constraints,
                                                issuer ? "CA:FALSE" : "critical,CA:TRUE");
    X509_add_ext(x, basic, -1);
    X509_EXTENSION_free(basic);
    SLUICE_ASSERT(X509_sign(x, key_.get(), EVP_sha256()) > 0);
    return certificate;
  }

  long serial_ = 0;
  KeyPtr key_;
  CertificatePtr certificate_;
};

}  // namespace sluice::net
