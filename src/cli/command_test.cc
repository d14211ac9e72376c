#include "cli/command.h"

#include <gtest/gtest.h>

namespace sluice::cli {
namespace {

Result<void> nothing(const Arguments& /*arguments*/) { return {}; }

const std::vector<Command> commands{
    {"serve",
     "",
     0,
     0,
     "Serve",
     "",
     {{"set", 's', "K=V", "a setting"}, {"quiet", 'q', "", "a switch"}},
     nothing},
    {"stream create", "NAME", 1, 1, "Create", "", {{"partitions", 'p', "N", "how many"}}, nothing},
    {"stream list", "", 0, 0, "List", "", {}, nothing},
};

Result<Invocation> parse(std::vector<std::string> words) { return cli::parse(commands, words); }

std::string usage_error(std::vector<std::string> words) {
  const auto parsed = parse(std::move(words));
  if (parsed) return "";
  EXPECT_EQ(parsed.error().code, Errc::invalid);
  return parsed.error().text;
}

TEST(Command, FlagsTakeTheirValueInFourForms) {
  const auto called = parse({"serve", "--set", "a", "--set=b=c", "-s", "d", "-se", "-q"});
  ASSERT_TRUE(called) << called.error().text;
  const auto values = called->arguments.all("set");
  EXPECT_EQ(std::vector(values.begin(), values.end()),
            (std::vector<std::string>{"a", "b=c", "d", "e"}));
  EXPECT_TRUE(called->arguments.has("quiet"));
}

TEST(Command, TwoWordsNameACommandAndTheRestAreItsArguments) {
  const auto called = parse({"stream", "create", "-p", "3", "--", "-odd-name"});
  ASSERT_TRUE(called) << called.error().text;
  EXPECT_EQ(called->command->name, "stream create");
  EXPECT_EQ(called->arguments.positional, std::vector<std::string>{"-odd-name"});
  EXPECT_EQ(*called->arguments.integer_or("partitions", 1, 1, 10), 3);
}

TEST(Command, ALoneDashIsAnArgument) {
  const auto called = parse({"stream", "create", "-"});
  ASSERT_TRUE(called);
  EXPECT_EQ(called->arguments.positional, std::vector<std::string>{"-"});
}

TEST(Command, AMistypedCommandNamesTheNearest) {
  EXPECT_EQ(usage_error({"sevre"}), "unknown command 'sevre'; did you mean 'sluice serve'?");
  EXPECT_EQ(usage_error({"stream", "crate"}),
            "unknown command 'stream crate'; did you mean 'sluice stream create'?");
  EXPECT_EQ(usage_error({"stream"}), "'sluice stream' needs one of: create, list");
}

TEST(Command, AMistypedFlagNamesTheNearest) {
  EXPECT_EQ(usage_error({"stream", "create", "x", "--partition", "3"}),
            "unknown flag '--partition' of 'sluice stream create'; did you mean '--partitions'?");
}

TEST(Command, WrongUseOfAFlagOrArgumentIsNamed) {
  EXPECT_EQ(usage_error({"serve", "--set"}), "flag '--set' needs a value: K=V");
  EXPECT_EQ(usage_error({"serve", "--quiet=1"}), "flag '--quiet' takes no value");
  EXPECT_EQ(usage_error({"serve", "extra"}),
            "'sluice serve' does not know what to do with 'extra'");
  EXPECT_EQ(usage_error({"stream", "create"}), "'sluice stream create' needs NAME");
}

TEST(Command, ANumberOutsideItsRangeNamesTheRange) {
  const auto called = parse({"stream", "create", "x", "-p", "11"});
  ASSERT_TRUE(called);
  const auto number = called->arguments.integer_or("partitions", 1, 1, 10);
  ASSERT_FALSE(number);
  EXPECT_EQ(number.error().text, "--partitions: '11' is not a whole number from 1 to 10");
}

TEST(Command, AnAssignmentIsANameAndAValue) {
  const auto called = parse({"serve", "--set", "a=b=c", "--set", "d="});
  EXPECT_EQ(*called->arguments.assignments("set"), (Assignments{{"a", "b=c"}, {"d", ""}}));
  const auto wrong = parse({"serve", "--set", "=b"})->arguments.assignments("set");
  EXPECT_EQ(wrong.error().text, "--set: '=b' is no NAME=VALUE");
}

TEST(Command, HelpIsAskedForWithoutTheArguments) {
  const auto called = parse({"stream", "create", "--help"});
  ASSERT_TRUE(called);
  EXPECT_TRUE(called->arguments.has("help"));
}

}  // namespace
}  // namespace sluice::cli
