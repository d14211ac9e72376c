#include "log/key_index.h"

#include <gtest/gtest.h>

#include <set>

#include "base/random.h"
#include "log/key_filter.h"
#include "log/key_index_support_test.h"

namespace sluice::log {
namespace {

constexpr Offset base{1000};

// A segment that consists of batches of such keys, and what is said of it.
class TestSegment {
 public:
  using Keys = std::vector<std::string>;

  void add(const Keys& keys) {
    const auto block = make_block({.values = Keys(keys.size(), "v"), .keys = keys});
    batches_[builder.until()] = keys;
    builder.add(*block);
  }
  [[nodiscard]] Segment segment() const { return {.base = base, .size = builder.until()}; }
  [[nodiscard]] Buffer encode() const { return whole(builder.encode(segment())); }

  // Where the batches begin that have a wanted key.
  [[nodiscard]] std::set<std::uint64_t> wanted(const KeyHint& hint) const {
    std::set<std::uint64_t> positions;
    for (const auto& [at, keys] : batches_)
      if (std::ranges::any_of(keys, [&](const auto& key) { return is_wanted(key, hint); }))
        positions.insert(at);
    return positions;
  }
  [[nodiscard]] std::set<std::uint64_t> selected(const Selection& selection) const {
    std::set<std::uint64_t> positions;
    for (const auto& [at, keys] : batches_)
      if (selection.next(at) == at) positions.insert(at);
    return positions;
  }
  [[nodiscard]] std::set<std::uint64_t> select(const KeyHint& hint) const {
    const Buffer file = encode();
    MemorySource source(file);
    const auto index = KeyIndex::load(source, segment());
    EXPECT_TRUE(index) << index.error().text;
    const auto selection = index->select(hint, source);
    EXPECT_TRUE(selection) << selection.error().text;
    return selected(*selection);
  }

  KeyIndexBuilder builder;

 private:
  std::map<std::uint64_t, Keys> batches_;  // by position
};

TEST(Selection, GoesFromStretchToStretch) {
  const Selection selection({{50, 60}, {10, 11}, {55, 70}, {70, 71}});
  EXPECT_EQ(selection.next(0), 10u);
  EXPECT_EQ(selection.next(10), 10u);
  EXPECT_EQ(selection.next(11), 50u);
  EXPECT_EQ(selection.next(65), 65u);
  EXPECT_EQ(selection.next(70), 70u);
  EXPECT_EQ(selection.next(71), Selection::none);
  EXPECT_FALSE(selection.is_all(100));
  EXPECT_TRUE(Selection({{0, 100}}).is_all(100));
  EXPECT_FALSE(Selection().is_all(100));
}

TEST(KeyFilter, HoldsWhatWasAddedAndLittleElse) {
  constexpr int count = 10'000;
  Buffer filter(key_filter::size_for(count), std::byte{});
  for (int i = 0; i < count; ++i)
    key_filter::add(filter, as_bytes("sensors/device" + std::to_string(i) + "/temperature"));
  int wrong = 0;
  for (int i = 0; i < count; ++i) {
    EXPECT_TRUE(key_filter::may_hold(
        filter, as_bytes("sensors/device" + std::to_string(i) + "/temperature")));
    wrong += key_filter::may_hold(
        filter, as_bytes("sensors/device" + std::to_string(i + count) + "/temperature"));
  }
  EXPECT_LT(wrong, count / 40);
}

TEST(KeyIndex, FindsTheBatchesOfAKeyAndOfAPrefix) {
  TestSegment segment;
  segment.add({"a/b"});
  segment.add({"a/c", "b"});
  segment.add({"a/b", "a/b", "c"});
  segment.add({""});
  EXPECT_EQ(segment.select({{"a/b"}, {}}), segment.wanted({{"a/b"}, {}}));
  EXPECT_EQ(segment.select({{"a/b"}, {}}).size(), 2u);
  EXPECT_EQ(segment.select({{}, {"a/"}}).size(), 3u);
  EXPECT_EQ(segment.select({{""}, {}}).size(), 1u);
  EXPECT_EQ(segment.select({{"a"}, {"d", "a/bb"}}).size(), 0u);
  EXPECT_EQ(segment.select({{"b"}, {"c"}}).size(), 2u);
}

TEST(KeyIndex, OfAnEmptySegmentSelectsNothing) {
  EXPECT_TRUE(TestSegment().select({{"a"}, {"b"}}).empty());
}

// The law: all batches with a wanted key are selected; and, as long as these are few, no other.
TEST(KeyIndex, SelectsBySeedWhatAModelSelects) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    Random random(seed);
    const std::uint64_t fan_out = 1 + random.below(12);
    const auto random_key = [&] {
      std::string key = random.one_in(8) ? "" : "common/prefix/of/all/";
      for (std::uint64_t levels = random.below(5); levels > 0; --levels)
        key += std::to_string(random.below(fan_out)) + '/';
      if (random.one_in(50)) key += std::string(250 + random.below(20), 'x') + 'a';
      return key;
    };
    TestSegment segment;
    for (std::uint64_t batches = random.below(60); batches > 0; --batches) {
      TestSegment::Keys keys(1 + random.below(random.one_in(5) ? 300 : 5));
      for (std::string& key : keys) key = random_key();
      segment.add(keys);
    }
    for (int i = 0; i < 10; ++i) {
      KeyHint hint;
      for (std::uint64_t n = random.below(4); n > 0; --n) hint.keys.push_back(random_key());
      for (std::uint64_t n = random.below(3); n > 0; --n) hint.prefixes.push_back(random_key());
      const auto selected = segment.select(hint);
      const auto wanted = segment.wanted(hint);
      EXPECT_TRUE(std::ranges::includes(selected, wanted)) << "seed " << seed;
      const auto is_long = [](const auto& text) { return text.size() >= KeyIndex::key_size_max; };
      const bool has_long = std::ranges::any_of(hint.keys, is_long) ||
                            std::ranges::any_of(hint.prefixes, is_long);  // they are cut
      EXPECT_TRUE(has_long || selected == wanted) << "seed " << seed;
    }
  }
}

TEST(KeyIndex, ManyKeysTakeManyBlocks) {
  TestSegment segment;
  for (int i = 0; i < 5'000; ++i) segment.add({"device/" + std::to_string(i)});
  EXPECT_GT(segment.encode().size(), 4 * key_index_layout::block_size);
  EXPECT_EQ(segment.select({{"device/0", "device/4999", "device/777", "device/5000"}, {}}).size(),
            3u);
  const KeyHint ten{{}, {"device/123"}};
  EXPECT_EQ(segment.select(ten), segment.wanted(ten));
  EXPECT_EQ(segment.select({{}, {"device/"}}).size(), 5'000u);
}

TEST(KeyIndex, WhatNothingIsKnownOfIsAlwaysSelected) {
  TestSegment segment;
  segment.builder = KeyIndexBuilder(100);
  segment.add({"a"});
  segment.builder.add_unknown(50);
  segment.builder.add_unknown(50);
  segment.add({"b"});
  EXPECT_EQ(segment.builder.unknown_bytes(), 200u);
  const Buffer file = segment.encode();
  MemorySource source(file);
  const auto selection = KeyIndex::load(source, segment.segment())->select({{"b"}, {}}, source);
  ASSERT_EQ(selection->stretches().size(), 2u);
  EXPECT_EQ(selection->stretches()[0], (Stretch{0, 100}));
  EXPECT_EQ(selection->stretches()[1].until - selection->stretches()[1].at, 101u)
      << "and the batch right behind it, where b is";
}

TEST(KeyIndex, WhatWasNotLookedIntoIsUnknown) {
  KeyIndexBuilder builder;
  const auto compressed = make_block({.values = {"v"}, .keys = {"a"}, .codec = Compression::zstd});
  builder.add(*compressed);
  EXPECT_EQ(builder.unknown_bytes(), compressed->bytes().size());
  const auto keyless = make_block({.values = {"v"}});
  builder.add(*keyless);
  EXPECT_EQ(builder.unknown_bytes(), compressed->bytes().size())
      << "of a record without a key it is known that nobody wants it";
}

TEST(KeyIndex, AKeyThatIsNearlyEverywhereSelectsAll) {
  TestSegment segment;
  for (int i = 0; i < 20'000; ++i) segment.add({"often", i % 1000 == 0 ? "rare" : "other"});
  EXPECT_EQ(segment.select({{"often"}, {}}).size(), 20'000u);
  EXPECT_EQ(segment.select({{"rare"}, {}}).size(), 20u);
  EXPECT_LT(segment.encode().size(), 1000u);
}

// Whoever chooses keys so that they fall on one place gets all batches selected, not fewer.
TEST(KeyIndex, CollidingKeysAreNotLost) {
  TestSegment segment;
  KeyIndexBuilder builder;
  for (int i = 0; i < 1'000; ++i) {
    BatchBuilder batch;
    const std::string key = std::to_string(i);
    batch.add(1000, {.key = as_bytes(key), .value = {}, .headers = {}, .key_hash = 7});
    builder.add(*batch.finish());
  }
  const Buffer file = whole(builder.encode({.base = base, .size = builder.until()}));
  MemorySource source(file);
  const auto index = KeyIndex::load(source, {.base = base, .size = builder.until()});
  const std::uint64_t batch_size = builder.until() / 1'000;
  for (const int i : {0, 5, 127, 128, 500, 999}) {
    const auto selection = index->select({{std::to_string(i)}, {}}, source);
    ASSERT_TRUE(selection);
    const std::uint64_t about = static_cast<std::uint64_t>(i) * batch_size;
    EXPECT_NE(selection->next(about - std::min<std::uint64_t>(about, 3'000)), Selection::none);
  }
  EXPECT_GT(builder.unknown_bytes(), builder.until() / 2);
}

TEST(KeyIndex, OfAnotherSegmentOrSizeIsRefused) {
  TestSegment segment;
  segment.add({"a"});
  const Buffer file = segment.encode();
  MemorySource source(file);
  const Segment right = segment.segment();
  ASSERT_TRUE(KeyIndex::load(source, right));
  Segment wrong = right;
  wrong.base = wrong.base + 1;
  EXPECT_FALSE(KeyIndex::load(source, wrong));
  wrong = right;
  wrong.size += 1;
  EXPECT_FALSE(KeyIndex::load(source, wrong));
  wrong = right;
  wrong.generation = 1;
  EXPECT_FALSE(KeyIndex::load(source, wrong));
}

TEST(KeyIndex, DamageIsNoticedOrDoesNotMatter) {
  TestSegment segment;
  for (int i = 0; i < 600; ++i) segment.add({"key/" + std::to_string(i)});
  const Buffer file = segment.encode();
  const KeyHint hint{{"key/7", "key/599"}, {"key/3"}};
  const auto wanted = segment.wanted(hint);
  const auto check = [&](const Buffer& damaged, std::size_t at) {
    MemorySource source(damaged);
    const auto index = KeyIndex::load(source, segment.segment());
    if (!index) return;
    const auto selection = index->select(hint, source);
    EXPECT_TRUE(!selection || segment.selected(*selection) == wanted) << "byte " << at;
  };
  for (std::size_t i = 0; i < file.size(); ++i) {
    Buffer damaged = file;
    damaged[i] ^= std::byte{0x10};
    check(damaged, i);
  }
  for (std::size_t size = 0; size < file.size(); ++size)
    check(Buffer(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size)), size);
}

TEST(KeyIndex, TakesAboutTwentyBytesForAKeyAndThreeForARecord) {
  TestSegment segment;
  Random random(1);
  const auto device = [](std::uint64_t i) {
    return "plant7/line" + std::to_string(i % 20) + "/machine" + std::to_string(i) + "/temperature";
  };
  for (int i = 0; i < 2'000; ++i) {
    TestSegment::Keys keys;
    for (int n = 0; n < 50; ++n) keys.push_back(device(random.below(5'000)));
    segment.add(keys);
  }
  EXPECT_LT(segment.encode().size(), 5'000u * 25 + 100'000u * 3);
  EXPECT_LT(segment.builder.memory(), 2u << 20);
}

}  // namespace
}  // namespace sluice::log
