#include "access/scram.h"

#include <gtest/gtest.h>

namespace sluice::access {
namespace {

// The example of RFC 7677, section 3: user "user", password "pencil".
constexpr std::string_view client_nonce = "rOprNGfwEbeRWgbNEkqO";
constexpr std::string_view server_nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
constexpr std::string_view salt = "W22ZaJ0SNY7soEsUEjb6gQ==";
constexpr std::string_view client_first = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
constexpr std::string_view client_final =
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

Credential pencil(Digest digest = Digest::sha256) {
  return make_credential(digest, "pencil", *from_base64(salt), 4096);
}

Result<Credential> lookup_pencil(std::string_view /*user*/) { return pencil(); }

// The client's side, for messages that the RFC has no example of.
std::string final_message(Digest digest, std::string_view password, std::string_view first_bare,
                          std::string_view server_first, std::string_view nonce) {
  const std::string without_proof = fmt::format("c=biws,r={}", nonce);
  const std::string auth = fmt::format("{},{},{}", first_bare, server_first, without_proof);
  const std::string salted = pbkdf2(digest, password, *from_base64(salt), 4096);
  const std::string key = hmac(digest, salted, "Client Key");
  const std::string proof = exclusive_or(key, hmac(digest, hash(digest, key), auth));
  return fmt::format("{},p={}", without_proof, base64(proof));
}

TEST(Scram, FollowsTheExampleOfTheRfc) {
  ScramServer server(Digest::sha256, std::string(server_nonce));
  const auto first = server.on_client_first(client_first, lookup_pencil);
  ASSERT_TRUE(first) << first.error().text;
  EXPECT_EQ(*first, fmt::format("r={}{},s={},i=4096", client_nonce, server_nonce, salt));
  const auto final = server.on_client_final(client_final);
  ASSERT_TRUE(final) << final.error().text;
  EXPECT_EQ(*final, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
  EXPECT_EQ(server.user(), "user");
}

// Proof and signature as Python's hashlib computes them.
TEST(Scram, WorksWithSha512) {
  ScramServer server(Digest::sha512, "server");
  const auto first = server.on_client_first(
      "n,,n=user,r=client", [](auto) -> Result<Credential> { return pencil(Digest::sha512); });
  ASSERT_TRUE(first);
  const auto answer = server.on_client_final(
      "c=biws,r=clientserver,p=xvM+0LZKiccLt2/xHrczi2bTu/4GgKQ4/vBIU2ZBBhSH"
      "kfvF+NWoMLVz/uidEgTAlBedCRYr8yjqMSDHy6uarA==");
  ASSERT_TRUE(answer) << answer.error().text;
  EXPECT_EQ(*answer,
            "v=ckSq1Flu4XnncESO+F+IzkCnHmia8hQEpOV2kVw/Rfff"
            "QySMituPQRK4QRtYtaivY+7Cku7peNsRJ1Kl2aUXtw==");
}

TEST(Scram, RefusesAWrongPassword) {
  ScramServer server(Digest::sha256, "server");
  const auto first = server.on_client_first("n,,n=user,r=client", lookup_pencil);
  const auto answer = server.on_client_final(
      final_message(Digest::sha256, "pen", "n=user,r=client", *first, "clientserver"));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::unauthorized);
}

// librdkafka before 2.6.1: client nonce + (client nonce + server nonce).
TEST(Scram, TakesTheDoubledNonceOfOldLibrdkafkaAndNoOther) {
  for (const std::string_view nonce : {"clientserver", "clientclientserver"}) {
    ScramServer server(Digest::sha256, "server");
    const auto first = server.on_client_first("n,,n=user,r=client", lookup_pencil);
    EXPECT_TRUE(server.on_client_final(
        final_message(Digest::sha256, "pencil", "n=user,r=client", *first, nonce)))
        << nonce;
  }
  for (const std::string_view nonce :
       {"server", "client", "clientclient", "clientserverserver", "clientserverx",
        "clientclientclientserver", "clientserverclientserver", ""}) {
    ScramServer server(Digest::sha256, "server");
    const auto first = server.on_client_first("n,,n=user,r=client", lookup_pencil);
    EXPECT_FALSE(server.on_client_final(
        final_message(Digest::sha256, "pencil", "n=user,r=client", *first, nonce)))
        << nonce;
  }
}

TEST(Scram, DecodesTheUsersName) {
  std::string asked;
  const auto lookup = [&](std::string_view user) -> Result<Credential> {
    asked = user;
    return pencil();
  };
  ScramServer server(Digest::sha256, "s");
  EXPECT_TRUE(server.on_client_first("n,a=a=2Cb=3Dc,n=a=2Cb=3Dc,r=x,tokenauth=true", lookup));
  EXPECT_EQ(asked, "a,b=c");
}

TEST(Scram, RefusesMalformedFirstMessages) {
  for (const std::string_view message :
       {"", "n", "n,", "n,,", "n,,n=user", "n,,r=x,n=user", "x,,n=user,r=x",
        "p=tls-unique,,n=user,r=x", "n,b=user,n=user,r=x", "n,,m=ext,n=user,r=x", "n,,n=,r=x",
        "n,,n=user,r=", "n,,n=u=2cr,r=x", "n,,n=u=,r=x", "n,,n=\xff,r=x", "n,,n=user,r=\x7f",
        "n,,n=user,r=a b"}) {
    ScramServer server(Digest::sha256, "s");
    const auto answer = server.on_client_first(message, lookup_pencil);
    ASSERT_FALSE(answer) << message;
    EXPECT_EQ(answer.error().code, Errc::malformed) << message;
  }
  ScramServer server(Digest::sha256, "s");
  EXPECT_EQ(server.on_client_first("n,a=root,n=user,r=x", lookup_pencil).error().code,
            Errc::unauthorized);
}

TEST(Scram, RefusesMalformedFinalMessages) {
  for (const std::string_view message :
       {"", "c=biws", "c=biws,r=xs", "c=biws,r=xs,p=", "c=biws,r=xs,p=?", "r=xs,c=biws,p=AAAA",
        "c=eSws,r=xs,p=AAAA", "c=biws,r=xs,p=AAAA", "c=biws,r=xs,p=AAAA,p=AAAA"}) {
    ScramServer server(Digest::sha256, "s");
    ASSERT_TRUE(server.on_client_first("n,,n=user,r=x", lookup_pencil));
    EXPECT_FALSE(server.on_client_final(message)) << message;
  }
}

TEST(Scram, AFinalMessageWithoutAFirstIsRefused) {
  ScramServer server(Digest::sha256, std::string(server_nonce));
  EXPECT_FALSE(server.on_client_final(client_final));
}

TEST(Scram, RefusesHugeMessages) {
  ScramServer server(Digest::sha256, "s");
  const std::string message = "n,,n=user,r=" + std::string(5000, 'x');
  EXPECT_EQ(server.on_client_first(message, lookup_pencil).error().code, Errc::malformed);
}

}  // namespace
}  // namespace sluice::access
