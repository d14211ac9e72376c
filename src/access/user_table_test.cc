#include "access/user_table.h"

#include <gtest/gtest.h>

namespace sluice::access {
namespace {

const std::string password =
    format_credential(make_credential(Digest::sha256, "secret", "0123456789abcdef", 4096));

TEST(UserTable, IsReadBackAsWritten) {
  const auto table = UserTable::parse(
      fmt::format("[users.ann]\npassword = [\"{}\"]\nrules = [\"allow publish a/%u/#\"]\n"
                  "[users.\"sensor1@demo \\\"x\\\"\"]\n[users.anonymous]\nrules = [\"allow "
                  "subscribe #\"]\n",
                  password),
      "u.toml");
  ASSERT_TRUE(table) << table.error().text;
  EXPECT_EQ(table->all().size(), 3u);
  const User* const ann = table->find("ann");
  ASSERT_NE(ann, nullptr);
  EXPECT_TRUE(fits(*ann->credential(Digest::sha256), "secret"));
  EXPECT_EQ(ann->credential(Digest::sha512), nullptr);
  EXPECT_EQ(to_string(ann->rules.all().at(0)), "allow publish a/%u/#");
  EXPECT_NE(table->find("sensor1@demo \"x\""), nullptr);

  const auto again = UserTable::parse(table->format(), "u.toml");
  ASSERT_TRUE(again) << again.error().text;
  EXPECT_EQ(again->format(), table->format());
}

TEST(UserTable, ErrorsNameFileLineUserAndFault) {
  struct Row {
    std::string text;
    std::vector<std::string_view> said;
  };
  const std::string two = fmt::format("password = [\"{0}\", \"{0}\"]", password);
  for (const Row& row : {
           Row{"[users.ann", {"u.toml:1:"}},
           Row{"\n\nx = 1", {"u.toml:3:", "'x'", "[users.NAME]"}},
           Row{"[people.ann]\nrules = []", {"'people'", "[users.NAME]"}},
           Row{"[users]\nann = 1", {"u.toml:2:", "\"ann\"", "no table"}},
           Row{"[users.ann]\nrule = []", {"u.toml:2:", "\"ann\"", "'rule'", "'rules'"}},
           Row{"[users.ann]\nrules = \"allow all\"", {"u.toml:2:", "no list"}},
           Row{"[users.ann]\nrules = [1]", {"u.toml:2:", "strings"}},
           Row{"[users.ann]\nrules = [\n\"allow all\",\n\"allow pubish a\"]",
               {"u.toml:4:", "\"ann\"", "allow pubish a", "did you mean"}},
           Row{"[users.ann]\npassword = [\"secret\"]", {"u.toml:2:", "\"ann\"", "SCRAM-SHA-256"}},
           Row{"[users.ann]\n" + two, {"u.toml:2:", "two passwords"}},
           Row{"[users.anonymous]\npassword = [\"" + password + "\"]", {"u.toml:2:", "without"}},
           Row{"[users.\"a/b\"]\nrules = []", {"u.toml:1:", "\"a/b\"", "none of"}},
       }) {
    const auto table = UserTable::parse(row.text, "u.toml");
    ASSERT_FALSE(table) << row.text;
    EXPECT_EQ(table.error().code, Errc::malformed);
    for (const auto part : row.said)
      EXPECT_NE(table.error().text.find(part), std::string::npos)
          << table.error().text << " lacks " << part;
  }
}

TEST(UserTable, NamesThatCouldReachBeyondTheirLevelAreRefused) {
  for (const std::string_view name : {"ann", "sensor1@demo", "CN with space", "\xc3\xa9", "a=b,c"})
    EXPECT_TRUE(validate_user_name(name)) << name;
  for (const std::string_view name : {"", "a/b", "+", "#", "a%u", "a\nb", "\x7f", "\xff", "$SYS"})
    EXPECT_FALSE(validate_user_name(name)) << name;
  EXPECT_FALSE(validate_user_name(std::string(129, 'a')));
}

TEST(UserTable, ADecoyLooksLikeAUserAndStaysTheSame) {
  const auto text = fmt::format("[users.ann]\npassword = [\"{}\"]\n", password);
  const auto table = *UserTable::parse(text, "u.toml");
  const auto restarted = *UserTable::parse(text, "u.toml");
  const Credential decoy = table.decoy("bob", Digest::sha512);
  EXPECT_EQ(decoy.iterations, 4096u) << "as the others have";
  EXPECT_EQ(decoy.salt.size(), 16u);
  EXPECT_EQ(decoy.salt, restarted.decoy("bob", Digest::sha512).salt);
  EXPECT_NE(decoy.salt, table.decoy("bobby", Digest::sha512).salt);
  EXPECT_FALSE(fits(table.decoy("bob", Digest::sha256), ""));
}

}  // namespace
}  // namespace sluice::access
