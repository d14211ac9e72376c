#include "access/rules.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "topic/topic.h"

namespace sluice::access {
namespace {

Rules rules(const std::vector<std::string>& texts) {
  std::vector<Rule> out;
  for (const auto& text : texts) out.push_back(*parse_rule(text));
  return Rules(std::move(out));
}

bool may(const Rules& rules, Action action, std::string_view resource,
         std::string_view client_id = "c1", std::string_view user = "ann") {
  std::string scratch;
  return rules.allow({.user = user, .client_id = client_id, .scratch = scratch}, action, resource);
}

TEST(Rule, IsReadBackAsWritten) {
  for (const std::string text :
       {"allow publish sensors/%u/#", "deny subscribe a b/+", "allow read orders",
        "deny write orders-*", "allow describe *", "allow create x.y_z-1*", "allow alter a",
        "allow remove a", "allow administer", "allow all", "deny all", "allow subscribe $SYS/#"}) {
    const auto rule = parse_rule(text);
    ASSERT_TRUE(rule) << rule.error().text;
    EXPECT_EQ(to_string(*rule), text);
  }
}

TEST(Rule, SaysWhatIsWrong) {
  struct Row {
    std::string_view text;
    std::string_view error;
  };
  for (const Row& row : {
           Row{"", "allow or deny"},
           Row{"permit publish a", "\"permit\""},
           Row{"allow pubish a", "did you mean \"publish\""},
           Row{"allow use_group a", "\"use_group\" is nothing to allow"},
           Row{"allow publish", "topic filter is missing"},
           Row{"allow read", "stream is missing"},
           Row{"allow publish a/#/b", "'#'"},
           Row{"allow subscribe $share/g/a", "$share"},
           Row{"allow publish a/x%u/b", "%u must be a level of its own"},
           Row{"allow read a/b", "\"a/b\" is no stream"},
           Row{"allow read a*b", "is no stream"},
           Row{"allow all a", "stands alone"},
           Row{"allow administer a", "stands alone"},
       }) {
    const auto rule = parse_rule(row.text);
    ASSERT_FALSE(rule) << row.text;
    EXPECT_EQ(rule.error().code, Errc::invalid);
    EXPECT_NE(rule.error().text.find(row.error), std::string::npos) << rule.error().text;
  }
}

TEST(Rules, NothingIsAllowedWithoutARule) {
  const Rules none;
  EXPECT_FALSE(may(none, Action::publish, "a"));
  EXPECT_FALSE(may(none, Action::administer, ""));
  EXPECT_FALSE(may(none, Action::use_group, "g"));
  EXPECT_FALSE(none.unrestricted());
}

TEST(Rules, AllowAllIsUnrestrictedUntilSomethingIsDenied) {
  EXPECT_TRUE(rules({"allow all"}).unrestricted());
  const Rules some = rules({"allow all", "deny read secret"});
  EXPECT_FALSE(some.unrestricted());
  EXPECT_TRUE(may(some, Action::read, "open"));
  EXPECT_TRUE(may(some, Action::administer, ""));
  EXPECT_TRUE(may(some, Action::use_group, "g"));
  EXPECT_FALSE(may(some, Action::read, "secret"));
  EXPECT_FALSE(may(rules({"allow all", "deny all"}), Action::publish, "a"));
  EXPECT_FALSE(may(rules({"allow all", "deny all"}), Action::use_group, "g"));
}

TEST(Rules, ADenyIsStrongerWhereverItStands) {
  for (const auto& some : {rules({"deny publish a/b", "allow publish a/#"}),
                           rules({"allow publish a/#", "deny publish a/b"})}) {
    EXPECT_TRUE(may(some, Action::publish, "a/c"));
    EXPECT_FALSE(may(some, Action::publish, "a/b"));
    EXPECT_FALSE(may(some, Action::subscribe, "a/c")) << "publishing is not subscribing";
  }
}

TEST(Rules, ASubscriptionMustBeCoveredWholeAndTouchNothingDenied) {
  const Rules some = rules({"allow subscribe a/#", "deny subscribe a/secret/#"});
  EXPECT_TRUE(may(some, Action::subscribe, "a/b/+"));
  EXPECT_TRUE(may(some, Action::subscribe, "$share/g/a/b"));
  EXPECT_FALSE(may(some, Action::subscribe, "#"));
  EXPECT_FALSE(may(some, Action::subscribe, "a/#")) << "it would hold a/secret";
  EXPECT_FALSE(may(some, Action::subscribe, "a/+"));
  EXPECT_FALSE(may(some, Action::subscribe, "$share/g/a/secret/x"));
}

TEST(Rules, PlaceholdersStandForTheAskersOwnLevel) {
  const Rules some = rules({"allow publish u/%u/c/%c"});
  EXPECT_TRUE(may(some, Action::publish, "u/ann/c/c1"));
  EXPECT_FALSE(may(some, Action::publish, "u/bob/c/c1"));
  EXPECT_FALSE(may(some, Action::publish, "u/ann/c/c2"));
}

TEST(Rules, AClientIdCannotReachBeyondItsLevel) {
  const Rules allowed = rules({"allow subscribe c/%c/x"});
  const Rules denied = rules({"allow publish #", "deny publish c/%c/x"});
  for (const std::string_view id : {"+", "#", "a/b", "", "$SYS"}) {
    EXPECT_FALSE(may(allowed, Action::subscribe, "c/+/x", id)) << id;
    EXPECT_FALSE(may(allowed, Action::subscribe, fmt::format("c/{}/x", id), id)) << id;
    EXPECT_FALSE(may(denied, Action::publish, "c/other/x", id)) << "a deny takes the whole level";
  }
}

TEST(Rules, StreamsAreNamedOrBeginAsTheRuleSays) {
  const Rules some = rules({"allow read orders", "allow write log-*", "deny write log-audit"});
  EXPECT_TRUE(may(some, Action::read, "orders"));
  EXPECT_FALSE(may(some, Action::read, "orders2"));
  EXPECT_FALSE(may(some, Action::write, "orders"));
  EXPECT_TRUE(may(some, Action::write, "log-x"));
  EXPECT_FALSE(may(some, Action::write, "log-audit"));
  EXPECT_FALSE(may(rules({"allow read *"}), Action::read, "__retained"));
  EXPECT_TRUE(may(rules({"allow read __*"}), Action::read, "__retained"));
}

TEST(Rules, WhoMayDoSomethingToAStreamMaySeeIt) {
  const Rules some =
      rules({"allow read r", "allow write w", "allow create c", "allow remove d", "allow alter a",
             "allow describe s", "allow read hidden", "deny describe hidden"});
  for (const std::string_view stream : {"r", "w", "c", "d", "a", "s"})
    EXPECT_TRUE(may(some, Action::describe, stream)) << stream;
  EXPECT_FALSE(may(some, Action::describe, "x"));
  EXPECT_FALSE(may(some, Action::describe, "hidden"));
  EXPECT_TRUE(may(some, Action::use_group, "any"));
  EXPECT_FALSE(may(rules({"allow write w"}), Action::use_group, "any"));
}

// A filter may be subscribed to only if each topic that it covers is one that the rules give away,
// taken one by one.
TEST(Rules, ASubscriptionGivesNoTopicThatIsNotAllowed) {
  const std::vector<std::string> filters{"a", "a/b", "a/+", "a/#", "+", "+/b", "+/+",
                                         "#", "$a",  "b/#", "b/+", "b", "+/#", "$a/#"};
  const std::vector<std::string> topics{"a",   "b",     "c",     "a/a", "a/b",  "b/b",
                                        "c/b", "a/b/c", "b/b/c", "$a",  "$a/b", "c/c/c"};
  Random random(7);
  int allowed = 0;
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::string> texts;
    for (int i = 0; i < 4; ++i)
      texts.push_back(fmt::format("{} subscribe {}", random.one_in(3) ? "deny" : "allow",
                                  filters[random.below(filters.size())]));
    const Rules some = rules(texts);
    const std::string& filter = filters[random.below(filters.size())];
    if (!may(some, Action::subscribe, filter)) continue;
    ++allowed;
    for (const auto& topic : topics) {
      if (!topic::matches(filter, topic)) continue;
      ASSERT_TRUE(may(some, Action::subscribe, topic))
          << filter << " holds " << topic << " with " << fmt::format("{}", fmt::join(texts, "; "));
    }
  }
  EXPECT_GT(allowed, 100);
}

}  // namespace
}  // namespace sluice::access
