#include "topic/filter_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "topic/topic.h"

namespace sluice::topic {
namespace {

using Values = std::vector<int>;

Values matched(FilterTree<int>& tree, std::string_view topic) {
  Values values;
  tree.match(topic, values);
  std::ranges::sort(values);
  return values;
}

// The law of the tree: it does what going through all pairs with matches() does.
class Reference {
 public:
  void insert(std::string filter, int value) { pairs_.emplace_back(std::move(filter), value); }
  bool erase(const std::string& filter, int value) {
    const auto found = std::ranges::find(pairs_, std::pair(filter, value));
    if (found == pairs_.end()) return false;
    pairs_.erase(found);
    return true;
  }
  [[nodiscard]] Values matched(std::string_view topic) const {
    Values values;
    for (const auto& [filter, value] : pairs_) {
      if (matches(filter, topic)) values.push_back(value);
    }
    std::ranges::sort(values);
    return values;
  }
  [[nodiscard]] const std::vector<std::pair<std::string, int>>& pairs() const { return pairs_; }

 private:
  std::vector<std::pair<std::string, int>> pairs_;
};

// Few levels of few kinds, empty ones among them, so that filters and topics often meet.
std::string random_text(Random& random, std::initializer_list<std::string_view> levels) {
  std::string text;
  const std::uint64_t depth = 1 + random.below(5);
  for (std::uint64_t i = 0; i < depth; ++i) {
    if (i > 0) text += '/';
    text += levels.begin()[random.below(levels.size())];
  }
  return text;
}

std::string random_topic(Random& random) {
  for (;;) {
    std::string topic = random_text(random, {"a", "b", "", "$s", "a longer level of a topic"});
    if (!topic.empty()) return topic;
  }
}

std::string random_filter(Random& random) {
  for (;;) {
    std::string filter =
        random_text(random, {"a", "b", "", "$s", "a longer level of a topic", "+", "+"});
    if (random.one_in(4)) filter = random.one_in(5) ? "#" : filter + "/#";
    if (!filter.empty()) return filter;
  }
}

TEST(FilterTree, AgreesWithGoingThroughAllFilters) {
  std::size_t hits = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Random random(seed);
    FilterTree<int> tree;
    Reference reference;
    const std::uint64_t filters = 1 + random.below(60);
    for (int step = 0; step < 150; ++step) {
      if (random.below(filters) >= reference.pairs().size()) {
        const std::string filter = random_filter(random);
        ASSERT_TRUE(validate_filter(filter)) << filter;
        tree.insert(filter, step % 7);
        reference.insert(filter, step % 7);
      } else {
        const auto [filter, value] = reference.pairs()[random.below(reference.pairs().size())];
        ASSERT_TRUE(reference.erase(filter, value));
        ASSERT_TRUE(tree.erase(filter, value)) << "seed " << seed << " " << filter;
      }
      ASSERT_EQ(tree.size(), reference.pairs().size());
      const std::string topic = random_topic(random);
      const Values expected = reference.matched(topic);
      ASSERT_EQ(matched(tree, topic), expected) << "seed " << seed << " " << topic;
      hits += expected.size();
    }
  }
  EXPECT_GT(hits, 10'000u) << "the sets are too thin to tell";
}

TEST(FilterTree, ErasesOnlyThePairThatIsThere) {
  FilterTree<int> tree;
  tree.insert("a/b", 1);
  tree.insert("a/b", 2);
  tree.insert("a/b", 2);
  EXPECT_FALSE(tree.erase("a/b", 3));
  EXPECT_FALSE(tree.erase("a", 1));
  EXPECT_FALSE(tree.erase("a/b/c", 1));
  EXPECT_FALSE(tree.erase("a/+", 1));
  EXPECT_EQ(matched(tree, "a/b"), (Values{1, 2, 2}));
  EXPECT_TRUE(tree.erase("a/b", 2));
  EXPECT_EQ(matched(tree, "a/b"), (Values{1, 2}));
}

TEST(FilterTree, KeepsAFilterThatOthersGoThrough) {
  FilterTree<int> tree;
  tree.insert("a", 1);
  tree.insert("a/b/c", 2);
  EXPECT_TRUE(tree.erase("a/b/c", 2));
  EXPECT_EQ(matched(tree, "a"), Values{1});
  tree.insert("a/b/c", 3);
  EXPECT_TRUE(tree.erase("a", 1));
  EXPECT_EQ(matched(tree, "a/b/c"), Values{3});
}

TEST(FilterTree, AddsToWhatTheCallerHas) {
  FilterTree<int> tree;
  tree.insert("a", 1);
  Values values{7};
  tree.match("a", values);
  EXPECT_EQ(values, (Values{7, 1}));
}

TEST(FilterTree, ChangesItsGenerationWithEachChangeOnly) {
  FilterTree<int> tree;
  EXPECT_TRUE(tree.empty());
  const auto at_first = tree.generation();
  tree.insert("a", 1);
  const auto inserted = tree.generation();
  EXPECT_GT(inserted, at_first);
  EXPECT_FALSE(tree.empty());
  matched(tree, "a");
  EXPECT_FALSE(tree.erase("b", 1));
  EXPECT_EQ(tree.generation(), inserted);
  EXPECT_TRUE(tree.erase("a", 1));
  EXPECT_GT(tree.generation(), inserted);
  EXPECT_TRUE(tree.empty());
}

TEST(FilterTree, BearsTheDeepestTopicsAndFilters) {
  std::string plus = "+";
  while (plus.size() + 2 <= size_bytes_max) plus += "/+";
  const std::string slashes(plus.size() / 2, '/');
  FilterTree<int> tree;
  tree.insert(plus, 1);
  tree.insert(slashes, 2);
  tree.insert("#", 3);
  EXPECT_EQ(matched(tree, slashes), (Values{1, 2, 3}));
  EXPECT_EQ(matched(tree, std::string(size_bytes_max, '/')), Values{3});
  EXPECT_TRUE(tree.erase(plus, 1));
  EXPECT_TRUE(tree.erase(slashes, 2));
  EXPECT_EQ(matched(tree, slashes), Values{3});
}

TEST(LevelTree, RemovesTheNodesThatLeadToNoFilter) {
  LevelTree tree;
  const NodeId deep = tree.insert("a/+/b/#");
  const NodeId above = tree.insert("a/+");
  EXPECT_EQ(tree.node_count(), 4u);
  tree.release(deep);
  EXPECT_EQ(tree.node_count(), 2u);
  tree.release(above);
  EXPECT_EQ(tree.node_count(), 0u);
}

TEST(LevelTree, FindsEachOfManyFiltersWhileOthersComeAndGo) {
  LevelTree tree;
  const auto filter = [](std::size_t i) {
    return "site" + std::to_string(i % 50) + "/device" + std::to_string(i);
  };
  constexpr std::size_t count = 5000;
  std::vector<NodeId> nodes;
  for (std::size_t i = 0; i < count; ++i) nodes.push_back(tree.insert(filter(i)));
  for (std::size_t i = 0; i < count; i += 3) tree.release(nodes[i]);
  for (std::size_t i = 0; i < count; ++i) {
    const std::vector<NodeId> expected =
        i % 3 == 0 ? std::vector<NodeId>{} : std::vector<NodeId>{nodes[i]};
    ASSERT_EQ(tree.match(filter(i)), expected) << filter(i);
  }
}

}  // namespace
}  // namespace sluice::topic
