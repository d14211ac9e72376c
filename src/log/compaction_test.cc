// The parts of compaction: what becomes of a batch, how keys are remembered, when it is time.

#include "log/compaction.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "log/batch_compaction.h"
#include "log/sim_log_test.h"

namespace sluice::log {
namespace {

constexpr KeyMap::Seed seed{1, 2};
constexpr std::uint64_t roomy = 1 << 20;
constexpr Offset nowhere{-1};

std::string key_of(int i) { return fmt::format("key-{}", i); }

TEST(KeyMap, KnowsTheNewestOffsetOfEachKey) {
  KeyMap map(roomy, seed);
  for (int round = 0; round < 2; ++round)
    for (int i = 0; i < 1000; ++i)
      ASSERT_TRUE(map.put(as_bytes(key_of(i)), {round * 1000 + i})) << "it grows";
  EXPECT_EQ(map.size(), 1000u);
  EXPECT_TRUE(map.has_newer(as_bytes(key_of(5)), {1004}));
  EXPECT_FALSE(map.has_newer(as_bytes(key_of(5)), {1005}));
  EXPECT_FALSE(map.has_newer(as_bytes("unknown"), nowhere));
}

TEST(KeyMap, RefusesNewKeysAtItsBoundAndKeepsTheOldOnes) {
  KeyMap map(10'000, seed);
  int count = 0;
  while (map.put(as_bytes(key_of(count)), {count})) ASSERT_LT(++count, 10'000 / 24);
  EXPECT_GT(count, 150);
  EXPECT_TRUE(map.put(as_bytes(key_of(0)), {5000})) << "it is there already";
  EXPECT_TRUE(map.has_newer(as_bytes(key_of(0)), {4999}));
  EXPECT_TRUE(map.has_newer(as_bytes(key_of(count - 1)), {count - 2}));
  EXPECT_FALSE(map.has_newer(as_bytes(key_of(count)), nowhere));
}

// A block at offset 100.
Buffer batch_of(TestBatch batch) {
  const auto block = make_block(batch);
  block->stamp({100}, 0);
  return {block->bytes().begin(), block->bytes().end()};
}

struct Content {
  Offset offset;
  WallMs timestamp;
  std::string key, value;
  friend bool operator==(const Content&, const Content&) = default;
};
std::vector<Content> content_of(Bytes bytes) {
  EXPECT_TRUE(validate_batch(bytes));
  const Block block(Buffer(bytes.begin(), bytes.end()));
  EXPECT_TRUE(block.index_records(1 << 20));
  std::vector<Content> all;
  for (const Record& record : block.records())
    all.push_back({block.from() + record.offset_delta, block.timestamp(record),
                   std::string(as_text(block.key(record))),
                   std::string(as_text(block.value(record)))});
  return all;
}

class CompactBatch : public testing::TestWithParam<Compression> {};

TEST_P(CompactBatch, KeepsTheNewestRecordsWithTheirOffsets) {
  const Buffer batch = batch_of({.values = {"1", "2", "3", "4"},
                                 .timestamp = 5000,
                                 .producer = 9,
                                 .sequence = 7,
                                 .keys = {"a", "b", "a", "c"},
                                 .codec = GetParam()});
  KeyMap newest(roomy, seed);
  EXPECT_EQ(map_keys(batch, {100}, newest), Offset{104});
  newest.put(as_bytes("c"), {300});
  const CompactedBatch compacted = compact_batch(batch, {newest, nowhere});
  ASSERT_EQ(compacted.kept, CompactedBatch::Kept::some);
  EXPECT_EQ(content_of(compacted.bytes),
            (std::vector<Content>{{{101}, 5000, "b", "2"}, {{102}, 5000, "a", "3"}}));
  const auto before = decode_batch_header(batch);
  const auto after = decode_batch_header(compacted.bytes);
  EXPECT_EQ(after->base_offset, 100);
  EXPECT_EQ(after->last_offset_delta, 3) << "the range of offsets stays";
  EXPECT_EQ(after->record_count, 2);
  EXPECT_EQ(after->attributes, before->attributes);
  EXPECT_EQ(after->producer_id, 9);
  EXPECT_EQ(after->base_sequence, 7);
}

TEST_P(CompactBatch, LeavesWholeWhatIsNewestAndNothingOfWhatIsNot) {
  const Buffer batch = batch_of({.values = {"1", "2"}, .keys = {"a", "b"}, .codec = GetParam()});
  KeyMap newest(roomy, seed);
  map_keys(batch, {100}, newest);
  EXPECT_EQ(compact_batch(batch, {newest, nowhere}).kept, CompactedBatch::Kept::all);
  newest.put(as_bytes("a"), {200});
  newest.put(as_bytes("b"), {201});
  EXPECT_EQ(compact_batch(batch, {newest, nowhere}).kept, CompactedBatch::Kept::none);
}

INSTANTIATE_TEST_SUITE_P(Codecs, CompactBatch,
                         testing::Values(Compression::none, Compression::gzip, Compression::snappy,
                                         Compression::lz4, Compression::zstd));

TEST(CompactedBatch, LosesNullValuesThatWereKeptForLongEnoughAndRecordsWithoutAKey) {
  const std::string null(TestBatch::null);
  const Buffer batch = batch_of({.values = {null, "2", null, "4"}, .keys = {"a", "b", "c"}});
  KeyMap newest(roomy, seed);
  map_keys(batch, {100}, newest);
  const CompactedBatch young = compact_batch(batch, {newest, nowhere});
  EXPECT_EQ(young.tombstones, 2u);
  EXPECT_EQ(young.keyless, 1u);
  EXPECT_EQ(content_of(young.bytes).size(), 3u);
  const CompactedBatch old = compact_batch(batch, {newest, {102}});
  EXPECT_EQ(old.tombstones, 1u);
  EXPECT_EQ(content_of(old.bytes),
            (std::vector<Content>{{{101}, 1000, "b", "2"}, {{102}, 1000, "c", ""}}));
}

TEST(CompactedBatch, IsWholeWhenItCannotBeLookedInto) {
  Buffer batch = batch_of({.values = {"1", "2"}, .keys = {"a", "a"}, .codec = Compression::zstd});
  batch.back() ^= std::byte{0xff};
  batch[batch_header_size] ^= std::byte{0xff};
  seal_batch(batch);
  KeyMap newest(roomy, seed);
  EXPECT_EQ(map_keys(batch, {100}, newest), Offset{102});
  EXPECT_EQ(newest.size(), 0u);
  EXPECT_EQ(compact_batch(batch, {newest, nowhere}).kept, CompactedBatch::Kept::all);
}

TEST(CompactedBatch, HasTheLargestTimestampOfWhatIsLeft) {
  // Two records whose timestamps lie 60 days apart, beyond what a sidecar entry can say.
  constexpr std::int64_t days_60 = 60LL * 86'400'000;
  Buffer batch;
  append(batch, Bytes(batch_of({.values = {"1"}, .keys = {"a"}})).first(batch_header_size));
  Writer writer(batch);
  for (const int i : {0, 1, 2}) {
    Buffer body;
    Writer fields(body);
    fields.write<std::uint8_t>(0);
    fields.write_varint(i == 2 ? 5 : i * days_60);
    fields.write_varint(i);
    fields.write_varint(1);
    fields.write_text(std::string(1, static_cast<char>('a' + i)));
    fields.write_varint(0);
    fields.write_varint(0);
    writer.write_varint(static_cast<std::int64_t>(body.size()));
    writer.write_bytes(body);
  }
  store_be<std::int32_t>(batch.data() + layout::batch_length,
                         static_cast<std::int32_t>(batch.size() - batch_length_offset));
  store_be<std::int32_t>(batch.data() + layout::last_offset_delta, 2);
  store_be<std::int32_t>(batch.data() + layout::record_count, 3);
  store_be<std::int64_t>(batch.data() + layout::max_timestamp, 1000 + days_60);
  seal_batch(batch);
  KeyMap newest(roomy, seed);
  newest.put(as_bytes("a"), {500});
  EXPECT_EQ(decode_batch_header(compact_batch(batch, {newest, nowhere}).bytes)->max_timestamp,
            1000 + days_60);
  newest.put(as_bytes("b"), {501});
  EXPECT_EQ(decode_batch_header(compact_batch(batch, {newest, nowhere}).bytes)->max_timestamp,
            1005);
}

TEST(RecordWithoutAKey, IsSeenInEveryBatchThatIsNotCompressed) {
  const TestBatch keyed{.values = {"1", "2"}, .keys = {"a", ""}};
  const TestBatch keyless{.values = {"1", "2"}, .keys = {"a"}};
  EXPECT_FALSE(has_record_without_key(*make_block(keyed)));
  EXPECT_TRUE(has_record_without_key(*make_block(keyless)));
  const auto as_received = [](const TestBatch& batch) { return Block(batch_of(batch)); };
  EXPECT_FALSE(has_record_without_key(as_received(keyed)));
  EXPECT_TRUE(has_record_without_key(as_received(keyless)));
  TestBatch compressed = keyless;
  compressed.codec = Compression::lz4;
  EXPECT_FALSE(has_record_without_key(as_received(compressed)));
  Buffer cut = batch_of(keyless);
  while (cut.size() > batch_header_size) {
    cut.resize(cut.size() - 1);
    EXPECT_FALSE(has_record_without_key(Block(Buffer(cut)))) << cut.size() << " bytes";
  }
}

PartitionLog partition_of(std::vector<Segment> segments, Offset end) {
  PartitionLog partition;
  partition.options.compact = true;
  partition.state.segments = std::move(segments);
  partition.state.end = partition.visible_end = partition.written_until = end;
  return partition;
}

TEST(CompactionPlan, WaitsUntilHalfIsNewAndLeavesTheActiveSegment) {
  auto partition = partition_of({{{0}, 100}, {{10}, 100}, {{20}, 100}, {{30}, 999}}, {40});
  const auto first = plan_compaction(partition, 0, 1000);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->segments.size(), 3u);
  EXPECT_EQ(first->until, Offset{30});
  partition.state.compaction = std::make_unique<CompactionState>();
  partition.state.compaction->until = {20};
  EXPECT_FALSE(plan_compaction(partition, 0, 1000)) << "a third is new";
  partition.state.compaction->until = {10};
  EXPECT_TRUE(plan_compaction(partition, 0, 1000));
  partition.options.compact = false;
  EXPECT_FALSE(plan_compaction(partition, 0, 1000));
}

TEST(CompactionPlan, StaysBelowWhatIsHeldOrYoung) {
  auto partition =
      partition_of({{{0}, 100, 50}, {{10}, 100, 60}, {{20}, 100, 70}, {{30}, 1}}, {40});
  partition.held_from = {25};
  EXPECT_EQ(plan_compaction(partition, 0, 1000)->until, Offset{20});
  partition.options.min_compaction_lag_ms = 100;
  EXPECT_EQ(plan_compaction(partition, 150, 1000)->until, Offset{10});
  EXPECT_FALSE(plan_compaction(partition, 149, 1000));
}

TEST(CompactionPlan, ComesBackForNullValuesOnceTheyAreOld) {
  auto partition = partition_of({{{0}, 100}, {{10}, 100}, {{20}, 100}}, {30});
  partition.options.delete_retention_ms = 1000;
  auto& state = *(partition.state.compaction = std::make_unique<CompactionState>());
  note_pass(state, {.until = {20}, .at = 500, .tombstones = 3}, {}, 1000);
  EXPECT_FALSE(plan_compaction(partition, 1499, 1000));
  const auto plan = plan_compaction(partition, 1500, 1000);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->tombstones_below, Offset{20});
  note_pass(state, {.until = {20}, .at = 1500, .tombstones = 0}, plan->tombstones_below, 1000);
  EXPECT_FALSE(plan_compaction(partition, 1'000'000, 1000)) << "they are gone";
}

TEST(CompactionState, RemembersFewPassesAndNoneTooEarly) {
  CompactionState state;
  constexpr std::int64_t retention = 1000;
  std::vector<WallMs> seen_at;  // by offset: when a pass first went over it
  for (WallMs now = 0; now < 5000; now += 10) {
    seen_at.push_back(now);
    note_pass(state, {.until = {static_cast<std::int64_t>(seen_at.size())}, .at = now}, {},
              retention);
    ASSERT_LE(state.passes.size(), 12u);
    std::size_t pass = 0;
    for (std::int64_t offset = 0; std::cmp_less(offset, seen_at.size()); ++offset) {
      if (state.passes[pass].until <= Offset{offset}) ++pass;
      const WallMs seen = seen_at[static_cast<std::size_t>(offset)];
      ASSERT_GE(state.passes[pass].at, seen) << "a null value would go too early";
      const bool over = state.passes[pass].at + retention <= now;
      ASSERT_TRUE(over || state.passes[pass].at <= seen + retention / 2) << "or too late";
    }
  }
}

}  // namespace
}  // namespace sluice::log
