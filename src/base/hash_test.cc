#include "base/hash.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace sluice {
namespace {

TEST(Murmur2, GivesTheNumbersThatKafkaClientsCompute) {
  EXPECT_EQ(murmur2(as_bytes("21")), -973932308);
  EXPECT_EQ(murmur2(as_bytes("foobar")), -790332482);
  EXPECT_EQ(murmur2(as_bytes("abc")), 479470107);
  EXPECT_EQ(murmur2(as_bytes("house/kitchen/sensor")), -2085932345);
}

TEST(PartitionOfKey, AgreesWithKafkasDefaultPartitioner) {
  struct Row {
    std::string_view key;
    std::uint32_t of_8;
    std::uint32_t of_12;
  };
  // Whole keys, and their first one and two levels, as the topic level partitioner cuts them.
  constexpr Row rows[] = {
      {"house/kitchen/sensor", 7, 3},
      {"house/kitchen/lamp", 4, 8},
      {"house/garage/door", 6, 6},
      {"car/42/pos", 5, 5},
      {"a/b/c", 2, 10},
      {"house", 0, 0},
      {"car", 4, 4},
      {"a", 4, 4},
      {"house/kitchen", 1, 9},
      {"house/garage", 3, 7},
      {"car/42", 5, 5},
      {"a/b", 2, 6},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(partition_of_key(as_bytes(row.key), 8), row.of_8) << row.key;
    EXPECT_EQ(partition_of_key(as_bytes(row.key), 12), row.of_12) << row.key;
  }
}

TEST(SlotOfClient, StaysWhatItIs) {
  // Rows on disk lie by it.
  EXPECT_EQ(slot_of_client("foobar"), 62u);
  EXPECT_EQ(slot_of_client("abc"), 27u);
}

TEST(Crc32c, GivesTheStandardCheckValue) {
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283u);
  EXPECT_EQ(crc32c({}), 0u);
}

TEST(Crc32c, ExtendsOverPiecesToTheChecksumOfTheWhole) {
  const std::string text(1000, 'x');
  const auto whole = as_bytes(text);
  for (const std::size_t cut : {0u, 1u, 7u, 512u, 1000u}) {
    EXPECT_EQ(crc32c_extend(crc32c(whole.first(cut)), whole.subspan(cut)), crc32c(whole)) << cut;
  }
}

TEST(Hash64, TellsApartTextsThatDifferInOneByteOrInLength) {
  std::set<std::uint64_t> seen;
  std::size_t texts = 0;
  for (std::size_t size = 0; size <= 70; ++size) {
    std::string text(size, 'a');
    seen.insert(hash64(as_bytes(text)));
    ++texts;
    for (std::size_t i = 0; i < size; ++i) {
      text[i] = 'b';
      seen.insert(hash64(as_bytes(text)));
      ++texts;
      text[i] = 'a';
    }
  }
  EXPECT_EQ(seen.size(), texts);
}

TEST(Hash64, SpreadsNumberedKeysOverTheLowBits) {
  constexpr std::size_t buckets = 256;
  constexpr std::size_t keys = 100 * buckets;
  std::size_t count[buckets] = {};
  for (std::size_t i = 0; i < keys; ++i) {
    ++count[hash64(as_bytes("device/" + std::to_string(i))) % buckets];
  }
  for (const auto n : count) {
    EXPECT_GT(n, 50u);
    EXPECT_LT(n, 170u);
  }
}

}  // namespace
}  // namespace sluice
