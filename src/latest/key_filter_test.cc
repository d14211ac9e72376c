#include "latest/key_filter.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "latest/row.h"
#include "topic/topic.h"

namespace sluice::latest {
namespace {

using Keys = std::set<std::string>;

// Walks as a scan does. `seeks` counts the keys that were looked at.
Keys walk(const KeyFilter& filter, const Keys& ordered, std::size_t& seeks) {
  Keys covered;
  std::string from;
  for (;;) {
    const auto wanted = filter.seek(from);
    if (!wanted) return covered;
    EXPECT_GE(*wanted, from);
    const auto found = ordered.lower_bound(*wanted);
    if (found == ordered.end()) return covered;
    ++seeks;
    if (!filter.end().empty() && *found >= filter.end()) return covered;
    from = *found;
    if (filter.seek(from) == from) {
      covered.insert(to_record_key(from));
      from += '\0';
    }
  }
}

Keys ordered(const Keys& keys) {
  Keys all;
  for (const std::string& key : keys) all.insert(to_ordered(key));
  return all;
}

TEST(KeyFilter, ALevelWildcardSeeksFromSiblingToSibling) {
  Keys keys;
  for (const std::string room : {"a", "b", "c"})
    for (int i = 0; i < 1000; ++i) keys.insert("house/" + room + "/" + std::to_string(i));
  keys.insert("house/b/temp");
  std::size_t seeks = 0;
  EXPECT_EQ(walk({"", "house/+/temp"}, ordered(keys), seeks), Keys{"house/b/temp"});
  EXPECT_LT(seeks, 10u);
}

TEST(KeyFilter, AWildcardInFrontSkipsTopicsThatBeginWithDollar) {
  const Keys keys{"$SYS", "$SYS/a", "a", "a/a", "%/a"};
  std::size_t seeks = 0;
  EXPECT_EQ(walk({"", "#"}, ordered(keys), seeks), (Keys{"%/a", "a", "a/a"}));
  EXPECT_EQ(walk({"", "+/a"}, ordered(keys), seeks), (Keys{"%/a", "a/a"}));
  EXPECT_EQ(walk({"", "$SYS/#"}, ordered(keys), seeks), (Keys{"$SYS", "$SYS/a"}));
  EXPECT_EQ(walk({"s/", "+/#"}, ordered(keys), seeks), keys) << "these topics begin with s/";
}

TEST(KeyFilter, OfANamedStreamTheFirstLevelIsItsName) {
  const Keys keys{"", "a", "a/b"};
  std::size_t seeks = 0;
  EXPECT_EQ(walk({"s/", "s/#"}, ordered(keys), seeks), keys);
  EXPECT_EQ(walk({"s/", "s/+"}, ordered(keys), seeks), (Keys{"", "a"}));
  EXPECT_EQ(walk({"s/", "t/#"}, ordered(keys), seeks), Keys{});
  EXPECT_EQ(walk({"s/", "+"}, ordered(keys), seeks), Keys{});
  EXPECT_EQ(walk({"s/", "s"}, ordered(keys), seeks), Keys{});
}

// By seed: the walk finds exactly what topic::matches() says, for keys and filters of few letters.
TEST(KeyFilter, FindsWhatMatches) {
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    Random random(seed);
    const std::vector<std::string> names{"", "a", "b", "ab", "$", "$a", "\x01", "\xc3\xa9", "%"};
    const auto name = [&] { return names[random.below(names.size())]; };
    Keys keys;
    for (std::uint64_t i = random.below(40); i > 0; --i) {
      std::string key = name();
      for (std::uint64_t level = random.below(4); level > 0; --level) key += "/" + name();
      keys.insert(key);
    }
    std::string filter;
    for (std::uint64_t levels = 1 + random.below(4); levels > 0; --levels) {
      const bool last = levels == 1;
      filter += random.one_in(3) ? (last && random.one_in(2) ? "#" : "+") : name();
      if (!last) filter += '/';
    }
    const std::string prefix = random.one_in(2) ? "" : "a/";
    Keys expected;
    for (const std::string& key : keys)
      if (topic::matches(filter, prefix + key)) expected.insert(key);
    std::size_t seeks = 0;
    ASSERT_EQ(walk({prefix, filter}, ordered(keys), seeks), expected)
        << "seed " << seed << ", filter " << filter << ", prefix " << prefix;
  }
}

}  // namespace
}  // namespace sluice::latest
