// A log that compacts, as a whole: what a reader makes of it, whatever happens in between.

#include <gtest/gtest.h>

#include <map>
#include <optional>

#include "base/quiet_logger_test.h"
#include "log/segment_store.h"
#include "log/sim_log_test.h"

namespace sluice::log {
namespace {

constexpr Partition p0{{7}, 0};
constexpr std::int64_t delete_retention_ms = 60'000;

struct Entry {
  WallMs timestamp;
  std::string key;
  std::optional<std::string> value;  // nothing: null
  friend bool operator==(const Entry&, const Entry&) = default;
};
using Entries = std::map<std::int64_t, Entry>;  // by offset
using Map = std::map<std::string, std::string>;

Map fold(const Entries& entries) {
  Map map;
  for (const auto& [offset, entry] : entries) {
    if (entry.value) {
      map[entry.key] = *entry.value;
    } else {
      map.erase(entry.key);
    }
  }
  return map;
}

Entries entries_of(const std::vector<BlockRef>& blocks) {
  Entries entries;
  for (const BlockRef& stored : blocks) {
    const Block block(Buffer(stored->bytes().begin(), stored->bytes().end()));
    EXPECT_TRUE(block.index_records(1 << 20));
    for (const Record& record : block.records()) {
      Entry entry{block.timestamp(record), std::string(as_text(block.key(record))), std::nullopt};
      if (record.value_at != Record::none) entry.value = as_text(block.value(record));
      entries.emplace(block.from().value + record.offset_delta, std::move(entry));
    }
  }
  return entries;
}

class LogCompaction : public testing::Test {
 protected:
  explicit LogCompaction(std::uint64_t seed = 1, Options options = LogMachine::uncached_options())
      : machine(seed, options), random(seed) {}

  void start() {
    ASSERT_TRUE(machine.start());
    machine.log().open(p0, {.compact = true, .delete_retention_ms = delete_retention_ms});
  }
  // Appends a batch and remembers it.
  void append(TestBatch batch) {
    batch.timestamp = ++clock;
    const auto appended = machine.append(p0, batch);
    ASSERT_TRUE(appended) << appended.error().text;
    for (std::size_t i = 0; i < batch.values.size(); ++i) {
      Entry entry{batch.timestamp, batch.keys[i], batch.values[i]};
      if (batch.values[i] == TestBatch::null) entry.value.reset();
      all.emplace(appended->first.value + static_cast<std::int64_t>(i), std::move(entry));
    }
  }
  void append_one(const std::string& key, const std::string& value) {
    append({.values = {value}, .keys = {key}});
  }
  // About a segment of it.
  void append_others(int round) {
    for (int i = 0; i < 12; ++i)
      append_one(fmt::format("other-{}-{}", round, i), std::string(150, 'x'));
  }
  void compact() {
    machine.settle();
    machine.log().apply_retention();
    machine.settle();
  }
  // All that is there, portion by portion.
  Entries read_all(Offset from = {}, std::size_t bytes_max = 3000) {
    Entries entries;
    const Offset end = machine.log().bounds(p0)->visible_end;
    while (from < end) {
      const auto answer = machine.read(p0, from, bytes_max);
      if (!answer || answer->next <= from) {
        ADD_FAILURE() << "no way on from " << from.value;
        return entries;
      }
      entries.merge(entries_of(answer->blocks));
      from = answer->next;
    }
    return entries;
  }
  std::size_t files() { return machine.disk().list(partition_dir(p0))->size(); }

  LogMachine machine;
  Random random;
  WallMs clock = 1000;
  Entries all;  // what was ever appended
};

TEST_F(LogCompaction, TheNewestValueOfEachKeyStaysAndOlderOnesGo) {
  start();
  for (int round = 0; round < 200; ++round) append_one(fmt::format("k{}", round % 7), "v");
  append_others(0);
  compact();
  const Entries left = read_all();
  EXPECT_EQ(fold(left), fold(all));
  EXPECT_LT(left.size(), 7u + 12 + 25) << "of the keys one each, and the active segment";
  EXPECT_EQ(left.rbegin()->first, all.rbegin()->first) << "the last record always stays";
}

TEST_F(LogCompaction, SmallSegmentsBecomeOne) {
  start();
  for (int round = 0; round < 400; ++round) append_one(fmt::format("k{}", round % 7), "v");
  append_others(0);
  machine.settle();
  const std::size_t before = files();
  compact();
  machine.world().run_for(std::chrono::seconds(15));  // a checkpoint lets the old ones go
  EXPECT_GT(before, 10u);
  EXPECT_LE(files(), 7u);
  EXPECT_EQ(fold(read_all()), fold(all));
}

TEST_F(LogCompaction, ANullValueIsReadForAWhileAndGoesThen) {
  start();
  append_one("a", "1");
  append_one("b", "1");
  append_one("a", std::string(TestBatch::null));
  append_others(0);
  append_others(1);
  compact();
  Entries left = read_all();
  EXPECT_FALSE(left.contains(0)) << "the value of a is gone";
  EXPECT_TRUE(left.contains(2)) << "that it is gone must be seen";
  machine.world().run_for(std::chrono::milliseconds(delete_retention_ms));
  compact();
  left = read_all();
  EXPECT_FALSE(left.contains(2));
  EXPECT_TRUE(left.contains(1));
  EXPECT_EQ(fold(left), fold(all));
}

TEST_F(LogCompaction, LeavesAloneWhatIsHeld) {
  start();
  for (int round = 0; round < 200; ++round) append_one(fmt::format("k{}", round % 7), "v");
  machine.settle();
  machine.log().hold(p0, {100});
  compact();
  const Entries left = read_all();
  EXPECT_LT(left.size(), 150u) << "below the hold it does its work";
  for (std::int64_t offset = 100; offset < 200; ++offset) EXPECT_TRUE(left.contains(offset));
}

TEST_F(LogCompaction, SequencesOfIdempotentProducersGoOn) {
  start();
  for (std::int32_t i = 0; i < 100; ++i)
    append({.values = {"v"}, .producer = 5, .sequence = i, .keys = {"k"}});
  append_one("k", "later");
  append_others(0);
  compact();
  EXPECT_FALSE(read_all().contains(99));
  const auto repeat = machine.append(p0, {.values = {"v"}, .producer = 5, .sequence = 99});
  ASSERT_TRUE(repeat);
  EXPECT_TRUE(repeat->duplicate);
  EXPECT_EQ(repeat->first, Offset{99});
  EXPECT_EQ(machine.append(p0, {.values = {"v"}, .producer = 5, .sequence = 101}).error().code,
            Errc::sequence_gap);
}

TEST_F(LogCompaction, ADamagedSegmentStaysAsItIs) {
  const QuietLogger quiet;
  start();
  for (int round = 0; round < 200; ++round) append_one(fmt::format("k{}", round % 7), "v");
  ASSERT_TRUE(machine.stop());
  machine.disk().corrupt(segment_path(p0, {}), 400);
  start();
  const std::size_t before = files();
  compact();
  EXPECT_EQ(files(), before);
  EXPECT_EQ(fold(read_all()), fold(all));
}

TEST_F(LogCompaction, WhoReadsWhileSegmentsAreReplacedMissesNothing) {
  start();
  for (int round = 0; round < 300; ++round) append_one(fmt::format("k{}", round % 7), "v");
  append_others(0);
  machine.settle();
  machine.log().apply_retention();
  Entries read;
  for (Offset from{}; from < machine.log().bounds(p0)->visible_end;) {
    const auto answer = machine.read(p0, from, 100);
    ASSERT_TRUE(answer) << answer.error().text;
    ASSERT_EQ(answer->skipped, 0u);
    read.merge(entries_of(answer->blocks));
    from = answer->next;
    machine.world().run_for(std::chrono::milliseconds(random.below(50)));
  }
  EXPECT_EQ(fold(read), fold(all));
}

// By seed: appends, null values, codecs, restarts, kills and passes at any moment, with a map of
// keys that is too small.
class LogCompactionBySeed : public LogCompaction,
                            public testing::WithParamInterface<std::uint64_t> {
 protected:
  LogCompactionBySeed() : LogCompaction(GetParam(), options()) {}

  static Options options() {
    Options options = LogMachine::uncached_options();
    options.compaction_map_size = 4000;  // about 70 keys
    options.retention_interval = std::chrono::seconds(20);
    return options;
  }

  void append_some() {
    TestBatch batch;
    for (std::size_t n = 1 + random.below(4); n > 0; --n) {
      batch.keys.push_back(fmt::format("k{}", random.below(random.one_in(3) ? 200 : 10)));
      batch.values.push_back(random.one_in(5) ? std::string(TestBatch::null)
                                              : fmt::format("{}{}", all.size() + n,
                                                            std::string(random.below(80), '.')));
    }
    if (random.one_in(2)) batch.codec = static_cast<Compression>(random.below(5));
    append(std::move(batch));
  }

  void disturb() {
    if (random.one_in(30)) machine.log().apply_retention();
    if (random.one_in(10)) machine.world().run_for(std::chrono::milliseconds(random.below(3000)));
    if (random.one_in(150)) machine.world().run_for(std::chrono::seconds(random.below(90)));
    if (random.one_in(200)) {
      if (random.one_in(2)) {
        ASSERT_TRUE(machine.stop());
      } else {
        random.one_in(2) ? machine.kill() : machine.crash();
      }
      start();
    }
  }

  // Laws: what is there was appended so; who reads from 0 gets the same map as from the whole; who
  // begins in the middle gets all that is there.
  void check() {
    const Offset from{static_cast<std::int64_t>(random.below(all.size()))};
    const Entries part = read_all(from);
    const Entries left = read_all({}, 1 + random.below(5000));
    for (const auto& [offset, entry] : left) {
      ASSERT_EQ(all.at(offset), entry) << offset;
      // Nothing but a compaction can lie between the two readings.
      ASSERT_TRUE(offset < from.value || part.contains(offset)) << offset;
    }
    ASSERT_EQ(fold(left), fold(all));
  }
};

TEST_P(LogCompactionBySeed, AReaderFoldsItToTheSameMapAsIfItWereNeverCompacted) {
  start();
  for (int i = 0; i < 600; ++i) {
    append_some();
    disturb();
    if (random.one_in(50)) check();
    if (HasFatalFailure()) return;
  }
  check();
  // In the end, when nothing comes any more, little more than the newest records is left.
  for (int i = 0; i < 20; ++i) compact();
  check();
  std::size_t sealed = 0;
  std::map<std::string, int> per_key;
  const std::int64_t recent = all.rbegin()->first - 200;
  for (const auto& [offset, entry] : read_all())
    if (offset < recent) sealed += static_cast<std::size_t>(++per_key[entry.key] > 1);
  EXPECT_LT(sealed, 100u) << "of the older keys most have one record";
}

INSTANTIATE_TEST_SUITE_P(Seeds, LogCompactionBySeed, testing::Range<std::uint64_t>(1, 41));

}  // namespace
}  // namespace sluice::log
