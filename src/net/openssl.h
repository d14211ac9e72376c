#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

// OpenSSL's objects as owners, and its errors as text. For .cc files of this module only.
namespace sluice::net {

template <auto release>
struct Releaser {
  template <class T>
  void operator()(T* object) const {
    release(object);
  }
};

using BioPtr = std::unique_ptr<BIO, Releaser<BIO_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Releaser<EVP_PKEY_free>>;
using CertificatePtr = std::unique_ptr<X509, Releaser<X509_free>>;
using SslPtr = std::unique_ptr<SSL, Releaser<SSL_free>>;

// The first error of this thread's queue, which is emptied; such as "unsupported protocol".
std::string take_openssl_error();
// Of the subject; empty when there is none, or it holds a NUL.
std::string common_name(X509* certificate);

}  // namespace sluice::net
