#include "http/target.h"

#include <gtest/gtest.h>

namespace sluice::http {
namespace {

using Levels = std::vector<std::string_view>;

TEST(PercentDecoding, TakesEscapesOfUtf8AndNothingElse) {
  EXPECT_EQ(percent_decode("a%2Fb%c3%A9+").value(), "a/b\xc3\xa9+");
  EXPECT_EQ(percent_decode("").value(), "");
  for (const char* text : {"%", "%2", "a%2gb", "%-1", "%ff"})
    EXPECT_EQ(percent_decode(text).error().code, Errc::malformed) << text;
}

TEST(Query, HasNamesAndValues) {
  const Query query = parse_query("limit=10&filter=a%26b&topic=a/+/%23&flag&limit=20&").value();
  EXPECT_EQ(query, (Query{{"filter", "a&b"}, {"flag", ""}, {"limit", "20"}, {"topic", "a/+/#"}}));
  EXPECT_TRUE(parse_query("")->empty());
  EXPECT_FALSE(parse_query("a=%zz"));
  EXPECT_FALSE(parse_query("%zz=a"));
}

TEST(Path, FitsAPatternLevelByLevel) {
  EXPECT_EQ(match_path("/clients", "/clients"), Levels{});
  EXPECT_EQ(match_path("/clients/{id}", "/clients/a%2Fb"), (Levels{"a%2Fb"}));
  EXPECT_EQ(match_path("/t/{t}/clients/{id}", "/t/x/clients/y"), (Levels{"x", "y"}));
  for (const char* path :
       {"", "/", "/client", "/clients/", "/clients//", "/clients/a/b", "/clients/a/"})
    EXPECT_FALSE(match_path("/clients/{id}", path)) << path;
  EXPECT_FALSE(match_path("/clients", "/clients/"));
}

}  // namespace
}  // namespace sluice::http
