#include "hub/key_hints.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "topic/topic.h"

namespace sluice::hub {
namespace {

using Texts = std::vector<std::string>;

stream::KeyHint hint_of(const Texts& filters, std::string_view topic_prefix = "") {
  KeyHints hints(topic_prefix);
  for (const std::string& filter : filters) hints.add(filter);
  const auto hint = hints.finish();
  return hint ? *hint : stream::KeyHint{{"(all)"}, {}};
}

TEST(KeyHints, AFilterWithoutWildcardsWantsOneKey) {
  const auto hint = hint_of({"a/b", "c", "a/b"});
  EXPECT_EQ(hint.keys, (Texts{"a/b", "c"}));
  EXPECT_TRUE(hint.prefixes.empty());
}

TEST(KeyHints, AWildcardWantsWhatBeginsAsTheLevelsBeforeIt) {
  const auto hint = hint_of({"a/b/+/c", "d/+"});
  EXPECT_TRUE(hint.keys.empty());
  EXPECT_EQ(hint.prefixes, (Texts{"a/b/", "d/"}));
}

TEST(KeyHints, TheLevelAboveAHashIsWantedToo) {
  const auto hint = hint_of({"a/b/#"});
  EXPECT_EQ(hint.keys, Texts{"a/b"});
  EXPECT_EQ(hint.prefixes, Texts{"a/b/"});
}

TEST(KeyHints, AFilterThatBeginsWithAWildcardWantsAll) {
  for (const std::string filter : {"#", "+", "+/a", "+/a/#"})
    EXPECT_EQ(hint_of({"x", filter, "y"}).keys, Texts{"(all)"}) << filter;
}

TEST(KeyHints, KeysOfANamedStreamLackItsName) {
  const auto hint = hint_of({"sensors/a", "sensors/b/+/c", "+/d/#", "sensors/"}, "sensors/");
  EXPECT_EQ(hint.keys, (Texts{"", "a", "d"}));
  EXPECT_EQ(hint.prefixes, (Texts{"b/", "d/"}));
  for (const std::string filter : {"#", "sensors/#", "sensors/+", "+/+/a"})
    EXPECT_EQ(hint_of({"sensors/x", filter}, "sensors/").keys, Texts{"(all)"}) << filter;
}

TEST(KeyHints, TooManyFiltersWantAll) {
  Texts filters;
  for (std::size_t i = 0; i < KeyHints::size_max; ++i) filters.push_back(std::to_string(i));
  EXPECT_EQ(hint_of(filters).keys.size(), KeyHints::size_max);
  filters.emplace_back("one-more");
  EXPECT_EQ(hint_of(filters).keys, Texts{"(all)"});
}

// The law: whatever a filter matches, its hint allows.
TEST(KeyHints, WhatAFilterMatchesIsWanted) {
  const Texts levels = {"", "a", "b"};
  Texts topics = levels;
  for (const std::string& first : levels)
    for (const std::string& second : levels) {
      topics.push_back(first + '/' + second);
      for (const std::string& third : levels) topics.push_back(first + '/' + second + '/' + third);
    }
  Texts filters = topics;
  for (const std::string& topic : topics) {
    filters.push_back(topic + "/#");
    filters.push_back(topic + "/+");
    filters.push_back(topic + "/+/a");
  }
  for (const std::string& filter : filters)
    for (const std::string& topic : topics) {
      if (filter.empty() || topic.empty() || !topic::matches(filter, topic)) continue;
      const auto hint = hint_of({filter});
      EXPECT_TRUE(
          std::ranges::count(hint.keys, topic) > 0 ||
          std::ranges::any_of(hint.prefixes,
                              [&](const std::string& prefix) { return topic.starts_with(prefix); }))
          << filter << " matches " << topic;
    }
}

}  // namespace
}  // namespace sluice::hub
