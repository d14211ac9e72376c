#include "net/tls_context.h"

#include <gtest/gtest.h>

#include <ctime>

#include "net/certificates_test.h"

namespace sluice::net {
namespace {

class TlsContextTest : public testing::Test {
 protected:
  std::string error(const TlsOptions& options) {
    const auto made = TlsContext::make(options, now());
    return made ? "" : made.error().text;
  }
  static WallMs now() { return static_cast<WallMs>(std::time(nullptr)) * 1000; }

  TestAuthority authority_;
  TlsOptions options_{.credentials = authority_.issue("hub")};
};

TEST_F(TlsContextTest, IsMadeOfACertificateAndItsKey) {
  const auto made = TlsContext::make(options_, now());
  ASSERT_TRUE(made) << made.error().text;
  EXPECT_TRUE((*made)->warnings().empty());
  EXPECT_GT((*made)->expires(), now());
}

TEST_F(TlsContextTest, ErrorsNameTheFileAndWhatIsWrong) {
  TlsOptions no_pem = options_;
  no_pem.credentials.certificate.content = "hello";
  EXPECT_EQ(error(no_pem), "hub.crt: no certificate in PEM format");

  TlsOptions damaged = options_;
  std::string& content = damaged.credentials.certificate.content;
  content += content;
  content[content.size() / 2 + 60] ^= 2;
  EXPECT_TRUE(error(damaged).starts_with("hub.crt: certificate 2 is damaged: ")) << error(damaged);

  TlsOptions no_key = options_;
  no_key.credentials.key.content = no_key.credentials.certificate.content;
  EXPECT_TRUE(error(no_key).starts_with("hub.key: no private key in PEM format")) << error(no_key);

  TlsOptions other_key = options_;
  other_key.credentials.key = authority_.issue("other").key;
  EXPECT_EQ(error(other_key), "other.key: the key does not belong to the certificate hub.crt");

  TlsOptions locked_key = options_;
  const KeyPtr key(EVP_EC_gen("P-256"));
  locked_key.credentials.key.content = TestAuthority::to_pem(key.get(), "word");
  EXPECT_EQ(error(locked_key), "hub.key: the key needs a passphrase; store it without one");

  TlsOptions bad_host = options_;
  bad_host.hosts["a.example"] = {authority_.issue("a").certificate, authority_.issue("b").key};
  EXPECT_EQ(error(bad_host), "b.key: the key does not belong to the certificate a.crt");

  TlsOptions bad_ca = options_;
  bad_ca.client_certificates = ClientCertificates::required;
  bad_ca.client_ca = PemFile{"ca.crt", ""};
  EXPECT_EQ(error(bad_ca), "ca.crt: no certificate in PEM format");
}

TEST_F(TlsContextTest, AnExpiredCertificateIsAWarning) {
  options_.credentials = authority_.issue("old", -3600);
  const auto made = TlsContext::make(options_, now());
  ASSERT_TRUE(made) << made.error().text;
  ASSERT_EQ((*made)->warnings().size(), 1u);
  EXPECT_TRUE((*made)->warnings()[0].starts_with("old.crt: the certificate expired on 2"));
  EXPECT_LT((*made)->expires(), now());
}

TEST_F(TlsContextTest, ACertificateMayBringItsChain) {
  options_.credentials.certificate.content += authority_.certificate().content;
  EXPECT_EQ(error(options_), "");
}

}  // namespace
}  // namespace sluice::net
