#include "access/credential.h"

#include <gtest/gtest.h>

namespace sluice::access {
namespace {

TEST(Base64, TakesCanonicalTextOnly) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("a"), "YQ==");
  EXPECT_EQ(base64("ab"), "YWI=");
  EXPECT_EQ(base64("abc"), "YWJj");
  EXPECT_EQ(from_base64("YWI="), "ab");
  EXPECT_EQ(from_base64(""), "");
  for (const char* text :
       {"YQ", "YQ=", "YR==", "Y===", "====", "YQ==\n", "Y Q=", "YQ==YQ==", "Y?=="})
    EXPECT_FALSE(from_base64(text)) << text;
}

// RFC 4231, test case 2, and RFC 7914, section 11.
TEST(Digests, FollowTheVectorsOfTheRfcs) {
  EXPECT_EQ(base64(hmac(Digest::sha256, "Jefe", "what do ya want for nothing?")),
            "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=");
  EXPECT_EQ(base64(pbkdf2(Digest::sha256, "passwd", "salt", 1)),
            "VawEblbjCJ/sFpHCJUS2BflBhSFt3gRl5oudV8INrLw=");
}

TEST(Credential, FitsItsPasswordOnly) {
  for (const Digest digest : {Digest::sha256, Digest::sha512}) {
    const Credential credential = make_credential(digest, "secret", "salt", iterations_min);
    EXPECT_TRUE(fits(credential, "secret"));
    for (const char* other : {"Secret", "secre", "secret ", ""})
      EXPECT_FALSE(fits(credential, other));
  }
}

TEST(Credential, IsReadBackAsWritten) {
  for (const Digest digest : {Digest::sha256, Digest::sha512}) {
    const Credential credential = make_credential(digest, "secret", "salt", iterations_min);
    const auto again = parse_credential(format_credential(credential));
    ASSERT_TRUE(again) << again.error().text;
    EXPECT_EQ(*again, credential);
  }
}

TEST(Credential, RefusesWhatIsNoneAndNeverRepeatsIt) {
  const std::string good = format_credential(make_credential(Digest::sha256, "x", "salt", 4096));
  std::vector<std::string> bad{"",
                               "plain",
                               "SCRAM-SHA-1$4096:c2FsdA==$AAAA:AAAA",
                               good + "x",
                               good.substr(0, good.size() - 4),
                               "SCRAM-SHA-256$4096"};
  for (const char* count : {"4095", "1000001", "x", "-1", ""}) {
    std::string text = good;
    bad.push_back(text.replace(text.find("4096"), 4, count));
  }
  std::string no_salt = good;
  bad.push_back(no_salt.replace(no_salt.find("c2FsdA=="), 8, ""));
  for (const auto& text : bad) {
    const auto parsed = parse_credential(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, Errc::malformed);
    EXPECT_TRUE(text.empty() || !parsed.error().text.contains(text)) << text;
  }
}

}  // namespace
}  // namespace sluice::access
