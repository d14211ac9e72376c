#include "topic/topic.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice::topic {
namespace {

using namespace std::string_view_literals;

Errc error_of(const Result<void>& result) {
  EXPECT_FALSE(result);
  return result ? Errc::closed : result.error().code;
}

TEST(TopicName, MayHaveEmptyLevelsSpacesAndDollars) {
  for (const auto topic : {"a"sv, "/"sv, "/a"sv, "a//b/"sv, "$SYS/x"sv, "a b/\xc3\xa9"sv}) {
    EXPECT_TRUE(validate_topic_name(topic)) << topic;
    EXPECT_TRUE(validate_filter(topic)) << topic;
  }
}

TEST(TopicName, HasNoWildcards) {
  for (const auto topic : {"+"sv, "#"sv, "a/+/b"sv, "a#"sv, "a/b+"sv}) {
    EXPECT_EQ(error_of(validate_topic_name(topic)), Errc::invalid) << topic;
  }
}

TEST(TopicFilter, TakesWildcardsThatFillALevelAndHashAtTheEnd) {
  for (const auto filter : {"+"sv, "#"sv, "+/+"sv, "a/+/b"sv, "/+"sv, "+/"sv, "a/#"sv, "+/#"sv}) {
    EXPECT_TRUE(validate_filter(filter)) << filter;
  }
  for (const auto filter :
       {"a+"sv, "+a/b"sv, "a/b#"sv, "#/a"sv, "a/#/"sv, "++"sv, "##"sv, "#+"sv}) {
    EXPECT_EQ(error_of(validate_filter(filter)), Errc::invalid) << filter;
  }
}

TEST(TopicText, IsNotEmptyAndNoLongerThanALengthFieldHolds) {
  for (const auto validate : {validate_topic_name, validate_filter}) {
    EXPECT_EQ(error_of(validate("")), Errc::invalid);
    EXPECT_TRUE(validate(std::string(65'535, '/')));
    EXPECT_EQ(error_of(validate(std::string(65'536, 'a'))), Errc::too_large);
  }
}

TEST(TopicText, IsUtf8WithoutNul) {
  for (const auto validate : {validate_topic_name, validate_filter}) {
    EXPECT_EQ(error_of(validate("a/\xff"sv)), Errc::malformed);
    EXPECT_EQ(error_of(validate("a\0b"sv)), Errc::malformed);
  }
}

TEST(TopicText, IsCutBetweenCharactersInErrors) {
  const std::string topic = std::string(79, 'a') + "\xe2\x82\xac" + "+";
  EXPECT_EQ(validate_topic_name(topic).error().text,
            "topic name \"" + std::string(79, 'a') + "\" contains a wildcard");
}

TEST(SharedFilter, IsTakenApart) {
  const auto shared = parse_shared("$share/g 1/a/+/#").value();
  ASSERT_TRUE(shared);
  EXPECT_EQ(shared->group, "g 1");
  EXPECT_EQ(shared->filter, "a/+/#");
  EXPECT_EQ(parse_shared("$share/g//").value()->filter, "/");
  EXPECT_FALSE(is_queue("$share/g/a"));
  const auto queue = parse_shared("$queue/q/a/#").value();
  ASSERT_TRUE(queue);
  EXPECT_TRUE(is_queue("$queue/q/a/#"));
  EXPECT_EQ(queue->group, "q");
  EXPECT_EQ(queue->filter, "a/#");
}

TEST(SharedFilter, IsNothingForOtherFilters) {
  for (const auto filter : {"a/#"sv, "$share"sv, "$shared/g/a"sv, "/$share/g/a"sv}) {
    EXPECT_FALSE(parse_shared(filter).value()) << filter;
  }
}

TEST(SharedFilter, NeedsAGroupNameAndAFilter) {
  for (const auto text : {"$share/"sv, "$share/g"sv, "$share/g/"sv, "$share//a"sv, "$share/+/a"sv,
                          "$share/a#/a"sv, "$share/g/a#"sv}) {
    const auto shared = parse_shared(text);
    ASSERT_FALSE(shared) << text;
    EXPECT_EQ(shared.error().code, Errc::invalid) << text;
  }
  EXPECT_EQ(parse_shared("$share/\xff/a"sv).error().code, Errc::malformed);
}

TEST(ReplayFilter, IsAStreamAndAFilterOfItsKeys) {
  const auto replay = parse_replay("$stream/sensors/a/+/#").value();
  EXPECT_EQ(replay.stream, "sensors");
  EXPECT_EQ(replay.filter, "a/+/#");
  EXPECT_EQ(parse_replay("$stream/sensors").value().filter, "#");
  EXPECT_TRUE(is_replay("$stream/"));
  for (const auto filter : {"$stream"sv, "$streams/a"sv, "/$stream/a"sv})
    EXPECT_FALSE(is_replay(filter)) << filter;
}

TEST(ReplayFilter, NeedsANameAndAFilterThatIsOne) {
  for (const auto text : {"$stream/"sv, "$stream//a"sv, "$stream/+/a"sv, "$stream/#"sv,
                          "$stream/a/"sv, "$stream/a/#/b"sv, "$stream/a/b+"sv}) {
    const auto replay = parse_replay(text);
    ASSERT_FALSE(replay) << text;
    EXPECT_EQ(replay.error().code, Errc::invalid) << text;
  }
  EXPECT_EQ(parse_replay("$stream/a/\xff"sv).error().code, Errc::malformed);
}

TEST(DelayedTopic, IsANumberOfSecondsAndATopic) {
  const auto delayed = parse_delayed("$delayed/15/a/b").value();
  EXPECT_EQ(delayed.seconds, 15u);
  EXPECT_EQ(delayed.topic, "a/b");
  EXPECT_EQ(parse_delayed("$delayed/0/a").value().seconds, 0u);
  EXPECT_EQ(parse_delayed("$delayed/999999999/a").value().seconds, 999'999'999u);
  EXPECT_EQ(parse_delayed("$delayed/1//").value().topic, "/");
  for (const auto text :
       {"$delayed/"sv, "$delayed/15"sv, "$delayed/15/"sv, "$delayed//a"sv, "$delayed/-1/a"sv,
        "$delayed/1.5/a"sv, "$delayed/x/a"sv, "$delayed/1000000000/a"sv})
    EXPECT_FALSE(parse_delayed(text)) << text;
  EXPECT_FALSE(is_delayed("$delayed"));
}

TEST(Matches, FollowsTheExamplesOfTheStandard) {
  struct Row {
    std::string_view filter;
    std::vector<std::string_view> covered;
    std::vector<std::string_view> not_covered;
  };
  const Row rows[] = {
      {"sport/tennis/player1/#",
       {"sport/tennis/player1", "sport/tennis/player1/ranking",
        "sport/tennis/player1/score/wimbledon"},
       {"sport/tennis/player2", "sport/tennis", "sport/tennis/player11"}},
      {"sport/#", {"sport", "sport/"}, {"sports", "/sport"}},
      {"#", {"a", "/", "a/b"}, {"$SYS", "$SYS/a"}},
      {"sport/tennis/+",
       {"sport/tennis/player1", "sport/tennis/"},
       {"sport/tennis/player1/ranking", "sport/tennis"}},
      {"sport/+", {"sport/"}, {"sport"}},
      {"+/+", {"/finance"}, {"finance", "$SYS/a"}},
      {"/+", {"/finance"}, {"finance"}},
      {"+", {"finance"}, {"/finance", "$SYS"}},
      {"+/monitor/Clients", {"a/monitor/Clients"}, {"$SYS/monitor/Clients"}},
      {"+/#", {"a", "a/b"}, {"$SYS", "$SYS/a"}},
      {"$SYS/#", {"$SYS/", "$SYS/monitor/Clients"}, {"a"}},
      {"$SYS/monitor/+", {"$SYS/monitor/Clients"}, {"$SYS/monitor"}},
      {"a/+/#", {"a/$b", "a/b/c"}, {"a"}},
      {"ACCOUNTS", {"ACCOUNTS"}, {"Accounts"}},
  };
  for (const auto& row : rows) {
    for (const auto topic : row.covered) {
      EXPECT_TRUE(matches(row.filter, topic)) << row.filter << " " << topic;
    }
    for (const auto topic : row.not_covered) {
      EXPECT_FALSE(matches(row.filter, topic)) << row.filter << " " << topic;
    }
  }
}

// All texts of one to `levels_max` levels out of `words`; "#" last only.
std::vector<std::string> all_texts(const std::vector<std::string>& words, int levels_max) {
  std::vector<std::string> all;
  std::vector<std::string> prefixes{""};
  for (int level = 0; level < levels_max; ++level) {
    std::vector<std::string> longer;
    for (const auto& prefix : prefixes) {
      for (const auto& word : words) {
        if (prefix.empty() && word.empty() && level == 0) continue;  // no topic is empty
        all.push_back(prefix + word);
        if (word != "#") longer.push_back(prefix + word + '/');
      }
    }
    prefixes = std::move(longer);
  }
  return all;
}

// Filters compared by the topics that they cover: one level more than they have, and a word that no
// filter names, stand for all others.
TEST(TwoFilters, AreComparedAsTheirTopicsAre) {
  const auto filters = all_texts({"a", "$a", "", "+", "#"}, 3);
  const auto topics = all_texts({"a", "$a", "", "other", "$other"}, 4);
  std::vector<std::vector<bool>> covered;
  for (const auto& filter : filters) {
    auto& row = covered.emplace_back();
    for (const auto& topic : topics) row.push_back(matches(filter, topic));
  }
  for (std::size_t i = 0; i < filters.size(); ++i) {
    for (std::size_t j = 0; j < filters.size(); ++j) {
      bool all = true;
      bool any = false;
      for (std::size_t k = 0; k < topics.size(); ++k) {
        all = all && (covered[i][k] || !covered[j][k]);
        any = any || (covered[i][k] && covered[j][k]);
      }
      ASSERT_EQ(covers(filters[i], filters[j]), all) << filters[i] << " " << filters[j];
      ASSERT_EQ(overlap(filters[i], filters[j]), any) << filters[i] << " " << filters[j];
    }
  }
}

}  // namespace
}  // namespace sluice::topic
