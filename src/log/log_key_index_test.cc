// A log whose readers say which keys they want: they get these, and are spared most of the rest.

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/quiet_logger_test.h"
#include "log/key_index_support_test.h"
#include "log/segment_store.h"

namespace sluice::log {
namespace {

constexpr Partition p0{{7}, 0};
constexpr int devices = 100;

class LogKeyIndex : public testing::Test {
 protected:
  explicit LogKeyIndex(std::uint64_t seed = 1, Options options = LogMachine::uncached_options())
      : machine(seed, options), random(seed) {}

  void start(PartitionOptions options = {}) {
    ASSERT_TRUE(machine.start());
    machine.log().open(p0, options);
  }
  static std::string device(std::uint64_t i) { return "device" + std::to_string(i) + "/value"; }
  // Batches of a few records of random devices. `codec`: the log is not told where they lie.
  void fill(int batches, Compression codec = Compression::none) {
    for (int i = 0; i < batches; ++i) {
      TestBatch batch;
      batch.codec = codec;
      for (std::uint64_t n = 1 + random.below(3); n > 0; --n) {
        batch.keys.push_back(device(random.below(devices)));
        batch.values.push_back(batch.keys.back() + "=" + std::to_string(next_value_++) +
                               std::string(random.below(60), '.'));
      }
      ASSERT_TRUE(machine.append(p0, batch));
    }
    machine.settle();
  }
  static KeyHintRef hint_of(std::vector<std::string> keys, std::vector<std::string> prefixes = {}) {
    return std::make_shared<const KeyHint>(KeyHint{std::move(keys), std::move(prefixes)});
  }
  static std::vector<Seen> wanted(const std::vector<Seen>& all, const KeyHint& hint) {
    std::vector<Seen> some;
    for (const Seen& record : all)
      if (is_wanted(record.value.substr(0, record.value.find('=')), hint)) some.push_back(record);
    return some;
  }
  struct Reading {
    std::size_t all = 0;    // records of the partition
    std::size_t given = 0;  // to the reader with the hint
  };
  // The law: a reader with a hint misses nothing that it allows.
  Reading read_both(const KeyHintRef& hint, std::size_t bytes_max = 1000) {
    const auto given = machine.read_all(p0, bytes_max, hint);
    const auto all = machine.read_all(p0);
    EXPECT_TRUE(given && all);
    EXPECT_EQ(wanted(*given, *hint), wanted(*all, *hint));
    return {all->size(), given->size()};
  }
  std::vector<std::string> index_files() {
    std::vector<std::string> names;
    const auto all = *machine.disk().list(partition_dir(p0));
    for (const std::string& name : all)
      if (name.ends_with(".keys")) names.push_back(partition_dir(p0) + "/" + name);
    return names;
  }
  std::uint64_t made_of_writes() {
    return machine.count("sluice_log_key_indexes_total", "from=\"writes\"");
  }
  std::uint64_t made_of_reads() {
    return machine.count("sluice_log_key_indexes_total", "from=\"reads\"");
  }

  LogMachine machine;
  Random random;

 private:
  int next_value_ = 0;
};

TEST_F(LogKeyIndex, AReaderOfOneKeyIsGivenLittleElse) {
  start();
  fill(500);
  EXPECT_GT(index_files().size(), 10u);
  EXPECT_EQ(made_of_writes(), index_files().size());
  const auto [all, given] = read_both(hint_of({device(5)}));
  EXPECT_LT(given, all / 10);
  EXPECT_EQ(made_of_reads(), 0u);
}

TEST_F(LogKeyIndex, ReadsOnlyWhatItGives) {
  start();
  fill(500);
  const auto before = machine.count("sluice_log_read_bytes_total");
  ASSERT_TRUE(machine.read_all(p0, 1000, hint_of({device(5)})));
  const auto little = machine.count("sluice_log_read_bytes_total") - before;
  ASSERT_TRUE(machine.read_all(p0));
  EXPECT_LT(little, (machine.count("sluice_log_read_bytes_total") - before - little) / 10);
}

TEST_F(LogKeyIndex, WhereNothingIsWantedOneAnswerGoesToWhatHasNoIndexYet) {
  start();
  fill(500);
  const Bounds bounds = *machine.log().bounds(p0);
  const auto answer = machine.read(p0, bounds.start, 1000, hint_of({"nobody"}));
  ASSERT_TRUE(answer);
  EXPECT_GT(answer->next, bounds.start + (bounds.visible_end - bounds.start) / 2);
  EXPECT_GT(answer->blocks.front()->from(), bounds.start + 400) << "the last segment is read whole";
}

TEST_F(LogKeyIndex, GivesBySeedAllThatIsWantedInPortionsOfAnySize) {
  start();
  fill(300);
  for (int i = 0; i < 200; ++i) {
    std::vector<std::string> keys, prefixes;
    for (std::uint64_t n = random.below(4); n > 0; --n) keys.push_back(device(random.below(120)));
    if (random.one_in(3)) prefixes.push_back(device(random.below(12)).substr(0, 7));
    read_both(hint_of(keys, prefixes), 1 + random.below(4000));
  }
}

TEST_F(LogKeyIndex, ReadsFromAnyOffsetOn) {
  start();
  fill(200);
  const auto hint = hint_of({device(3), device(4)});
  const auto all = *machine.read_all(p0);
  const auto some = wanted(all, *hint);
  for (std::size_t i = 0; i + 1 < all.size(); i += 7) {
    const Offset from{all[i].offset};
    const auto answer = machine.read(p0, from, 1, hint);
    ASSERT_TRUE(answer);
    EXPECT_GT(answer->next, from);
    std::vector<Seen> given;
    append_records(answer->blocks, given);
    for (const Seen& record : some) {
      if (record.offset >= from.value && record.offset < answer->next.value) {
        EXPECT_TRUE(std::ranges::find(given, record) != given.end()) << record.value;
      }
    }
  }
}

TEST_F(LogKeyIndex, WhatWasWrittenBeforeARestartGetsItsIndexWhenItIsAskedFor) {
  start();
  fill(105);
  const auto before = index_files().size();
  ASSERT_TRUE(machine.stop());
  start();
  fill(5);  // the segment that was written to is full now, and only its end is known
  const auto hint = hint_of({device(5)});
  read_both(hint);
  machine.settle();
  EXPECT_EQ(made_of_reads(), 1u);
  EXPECT_EQ(index_files().size(), before + 1);
  read_both(hint);
  machine.settle();
  EXPECT_EQ(made_of_reads(), 1u) << "only once";
}

TEST_F(LogKeyIndex, LostAndDamagedIndexesAreMadeAnew) {
  const QuietLogger quiet;
  start();
  fill(300);
  const auto files = index_files();
  ASSERT_GT(files.size(), 6u);
  ASSERT_TRUE(machine.disk().remove(files[1]));
  machine.disk().corrupt(files[3], 20);
  const auto size = (*machine.disk().open(files[5], OpenMode::read))->size();
  machine.disk().corrupt(files[5], *size - 1);  // in the last block of keys
  const auto hint = hint_of({}, {"device"});
  read_both(hint);
  machine.settle();
  EXPECT_EQ(made_of_reads(), 3u);
  EXPECT_EQ(index_files(), files);
  const auto [all, given] = read_both(hint_of({"nobody"}));
  EXPECT_LT(given, all / 10);
}

TEST_F(LogKeyIndex, CompressedBatchesAreLookedIntoWhenSomebodyAsks) {
  start();
  fill(300, Compression::zstd);
  EXPECT_TRUE(index_files().empty()) << "nobody has needed to know what is in them";
  const auto first = read_both(hint_of({device(5)}));
  EXPECT_EQ(first.given, first.all);
  for (int i = 0; i < 3; ++i) {
    read_both(hint_of({device(5)}));
    machine.settle();
  }
  const auto [all, given] = read_both(hint_of({device(5)}));
  EXPECT_LT(given, all / 4);
}

TEST_F(LogKeyIndex, CompactedSegmentsGetTheirIndexWhenSomebodyAsks) {
  start({.compact = true});
  fill(300);
  const auto passes = [&] { return machine.count("sluice_log_compactions_total"); };
  machine.log().apply_retention();
  machine.wait([&] { return passes() > 0; });
  machine.settle();
  const auto hint = hint_of({device(5)});
  read_both(hint);
  machine.settle();
  EXPECT_GT(made_of_reads(), 0u);
  const auto [all, given] = read_both(hint_of({device(5)}));
  EXPECT_LT(given, all / 2);
  ASSERT_TRUE(machine.stop());
  start({.compact = true});
  read_both(hint);
  for (const std::string& file : index_files())
    EXPECT_TRUE(*machine.disk().exists(file.substr(0, file.size() - 4) + "log")) << file;
}

TEST_F(LogKeyIndex, AnIndexGoesWithItsSegment) {
  start({.retention_bytes = 5'000});
  fill(300);
  const auto before = index_files().size();
  machine.log().apply_retention();
  ASSERT_TRUE(machine.stop());
  EXPECT_LT(index_files().size(), before / 2);
  start();
  machine.log().drop(p0);
  machine.settle();
  EXPECT_TRUE(index_files().empty());
}

// It would be taken for that of the segment if this came to the size of the one that it was made
// of.
TEST_F(LogKeyIndex, WhatACrashLeftOfTheIndexOfASegmentGoesBeforeTheSegmentIsWrittenTo) {
  start();
  fill(20);
  ASSERT_TRUE(machine.stop());
  std::string active;
  const auto names = *machine.disk().list(partition_dir(p0));
  for (const std::string& name : names)
    if (name.ends_with(".log")) active = partition_dir(p0) + "/" + name;
  const std::string stale = active.substr(0, active.size() - 3) + "keys";
  ASSERT_TRUE(machine.disk().open(stale, OpenMode::write_new));
  start();
  EXPECT_TRUE(*machine.disk().exists(stale));
  fill(1);
  EXPECT_FALSE(*machine.disk().exists(stale));
}

TEST_F(LogKeyIndex, APartitionMayDoWithout) {
  start({.key_index = false});
  fill(200);
  EXPECT_TRUE(index_files().empty());
}

TEST_F(LogKeyIndex, DamagedRecordsAreMetByWhoWantsThem) {
  const QuietLogger quiet;
  start();
  fill(200);
  ASSERT_TRUE(machine.stop());
  const auto names = *machine.disk().list(partition_dir(p0));
  for (const std::string& name : names)
    if (name.ends_with(".log")) machine.disk().corrupt(partition_dir(p0) + "/" + name, 70);
  start();
  const auto hint = hint_of({device(5)});
  const auto given = machine.read_all(p0, 1000, hint);
  const auto all = machine.read_all(p0);
  ASSERT_TRUE(given && all);
  EXPECT_EQ(wanted(*given, *hint), wanted(*all, *hint));
}

template <std::size_t size>
class LogWithKeyMemory : public LogKeyIndex {
 protected:
  LogWithKeyMemory() : LogKeyIndex(1, options()) {}
  static Options options() {
    Options options = LogMachine::uncached_options();
    options.key_index_memory = size;
    return options;
  }
};

using LogWithoutKeyIndexes = LogWithKeyMemory<0>;

TEST_F(LogWithoutKeyIndexes, GivesEverythingToEverybody) {
  start();
  fill(200);
  const auto [all, given] = read_both(hint_of({device(5)}));
  EXPECT_EQ(given, all);
  machine.settle();
  EXPECT_TRUE(index_files().empty());
}

using LogWithLittleKeyMemory = LogWithKeyMemory<600>;

// What does not fit is given up while it is written; whoever asks gets what a part of it says.
TEST_F(LogWithLittleKeyMemory, KnowsNothingOfSomeAndLosesNothing) {
  start();
  fill(200);
  EXPECT_EQ(made_of_writes(), 0u);
  for (int i = 0; i < 3; ++i) {
    read_both(hint_of({device(5)}));
    machine.settle();
  }
  EXPECT_GT(made_of_reads(), 0u);
  const auto made = made_of_reads();
  read_both(hint_of({device(5)}));
  machine.settle();
  EXPECT_EQ(made_of_reads(), made) << "an index that says little is not made again and again";
}

// By seed: partitions of which some are dropped, segments that retention takes while their index is
// being made, restarts and crashes. log_crash_test.cc has more of it.
TEST(LogKeyIndexBySeed, FindsAllThatIsThere) {
  const QuietLogger quiet;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Options options = LogMachine::small_options();
    Random random(seed);
    options.tail_cache_size = random.one_in(2) ? 1024 : 8192;
    options.key_index_memory = random.one_in(3) ? 4'000 : 1 << 20;
    LogMachine machine(seed, options);
    for (int life = 0; life < 4; ++life) {
      ASSERT_TRUE(machine.start());
      machine.log().open(
          p0, {.retention_bytes = random.one_in(2) ? 20'000 : -1, .compact = seed % 3 == 0});
      for (int i = 0; i < 60; ++i) {
        TestBatch batch;
        const std::string key = "k" + std::to_string(random.below(20));
        batch.keys.push_back(key);
        batch.values.push_back(key + "=" + std::to_string(i) + std::string(100, '.'));
        ASSERT_TRUE(machine.append(p0, batch));
        if (random.one_in(20)) machine.log().apply_retention();
        if (random.one_in(10)) machine.settle();
        if (!random.one_in(10)) continue;
        const auto hint = std::make_shared<const KeyHint>(KeyHint{{"k1"}, {"k2"}});
        const auto given = machine.read_all(p0, 1 + random.below(3000), hint);
        const auto all = machine.read_all(p0);
        if (!given || !all) continue;  // retention has overtaken the reader
        for (const Seen& record : *all) {
          if (is_wanted(record.value.substr(0, record.value.find('=')), *hint)) {
            EXPECT_TRUE(std::ranges::find(*given, record) != given->end())
                << "seed " << seed << " offset " << record.offset;
          }
        }
      }
      random.one_in(3) ? machine.crash() : random.one_in(2) ? machine.kill() : (void)machine.stop();
    }
  }
}

}  // namespace
}  // namespace sluice::log
