// The log's own formats: what was written comes back, what was damaged does not. And the tables
// that they carry.

#include <gtest/gtest.h>

#include "base/hash.h"
#include "log/checkpoint.h"
#include "log/journal_format.h"
#include "log/producers.h"
#include "log/retention.h"
#include "log/segment_index.h"

namespace sluice::log {
namespace {

template <class Decodes>
void expect_no_damage_passes(const Buffer& bytes, Decodes decodes) {
  ASSERT_TRUE(decodes(bytes));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    Buffer damaged = bytes;
    damaged[i] ^= std::byte{0x10};
    EXPECT_FALSE(decodes(damaged)) << "byte " << i;
  }
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decodes(Buffer(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size))))
        << size;
  }
}

TEST(JournalFormat, FileHeaderComesBackUndamagedOrNotAtAll) {
  const Buffer block =
      encode_journal_file_header({.run = 3, .shard = 2, .salt = 99, .first_sequence = 7});
  const auto header = decode_journal_file_header(block);
  EXPECT_EQ(header->run, 3u);
  EXPECT_EQ(header->shard, 2u);
  EXPECT_EQ(header->salt, 99u);
  EXPECT_EQ(header->first_sequence, 7u);
  expect_no_damage_passes(
      block, [](const Buffer& bytes) { return decode_journal_file_header(bytes).has_value(); });
}

TEST(JournalFormat, EntryComesBackUndamagedOrNotAtAll) {
  const std::vector<JournalItem> items = {
      {.kind = JournalItemKind::reserve, .partition = {{1}, 2}, .offset = {1 << 20}},
      {.kind = JournalItemKind::batch,
       .partition = {{1}, 2},
       .offset = {5},
       .size = 100,
       .crc = 6,
       .count = 3,
       .leader_epoch = 4}};
  Buffer table;
  encode_journal_entry(
      {.salt = 9, .sequence = 8, .predecessor = 7, .size = journal_block, .count = 2}, items,
      table);
  const auto decode = [](const Buffer& bytes) -> std::optional<std::vector<JournalItem>> {
    const auto header = decode_journal_entry_header(bytes);
    if (!header || bytes.size() < header->table_size()) return std::nullopt;
    auto decoded = decode_journal_items(*header, Bytes(bytes).first(header->table_size()));
    if (!decoded) return std::nullopt;
    return *decoded;
  };
  const auto decoded = decode(table);
  ASSERT_EQ(decoded->size(), 2u);
  EXPECT_EQ((*decoded)[0].offset, Offset{1 << 20});
  EXPECT_EQ((*decoded)[1].size, 100u);
  EXPECT_EQ((*decoded)[1].count, 3);
  expect_no_damage_passes(table, [&](const Buffer& bytes) { return decode(bytes).has_value(); });
}

TEST(CheckpointFormat, ComesBackUndamagedOrNotAtAll) {
  PartitionState state;
  state.id = {{0xabc}, 3};
  state.start = {10};
  state.end = {99};
  state.reserved = {1 << 20};
  state.segments = {{{10}, 500, 1000, 3}, {{50}, 600, 2000}};
  state.active_since = 777;
  state.compaction = std::make_unique<CompactionState>();
  state.compaction->until = {40};
  state.compaction->passes = {{{20}, 100, 0}, {{40}, 200, 5}};
  state.producers = std::make_unique<ProducerTable>();
  state.producers->add({.producer_id = 4, .epoch = 1, .base_sequence = 0, .count = 5}, {85}, 123);
  state.producers->add({.producer_id = 4, .epoch = 1, .base_sequence = 5, .count = 5}, {95}, 123);
  CheckpointEncoder encoder(
      {.run = 5, .shard = 1, .shards = 2, .clean = true, .boot_id = "boot", .position = {7, 8, 9}});
  encoder.add(state, {90});
  const Buffer bytes = encoder.finish();

  const auto decoded = decode_checkpoint(bytes);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->checkpoint.run, 5u);
  EXPECT_TRUE(decoded->checkpoint.clean);
  EXPECT_EQ(decoded->checkpoint.boot_id, "boot");
  EXPECT_EQ(decoded->checkpoint.position.sequence, 9u);
  const PartitionState& back = decoded->partitions.at(0);
  EXPECT_EQ(back.id, state.id);
  EXPECT_EQ(back.end, Offset{90}) << "only what the segments hold";
  EXPECT_EQ(back.segments.at(1).size, 600u);
  EXPECT_EQ(back.segments.at(0).id(), (SegmentId{{10}, 3}));
  EXPECT_EQ(back.active_since, 777);
  EXPECT_EQ(back.compaction->until, Offset{40});
  EXPECT_EQ(back.compaction->passes.at(1).tombstones, 5u);
  EXPECT_TRUE(back.producers->check({.producer_id = 4, .epoch = 1, .base_sequence = 5, .count = 1}))
      << "the batch at 95 is not in the segments: the journal will tell of it";
  expect_no_damage_passes(
      bytes, [](const Buffer& damaged) { return decode_checkpoint(damaged).has_value(); });
}

TEST(CheckpointFormat, ReadsTheFirstVersion) {
  Buffer bytes;
  Writer writer(bytes);
  writer.write<std::uint32_t>(0x534c4350);
  writer.write<std::uint32_t>(0);  // the checksum, below
  writer.write<std::uint32_t>(1);  // partitions
  writer.write<std::uint16_t>(1);
  writer.write<std::uint8_t>(1);
  writer.write<std::uint8_t>(4);
  writer.write_text("boot");
  writer.write<std::uint64_t>(5);  // run
  writer.write<std::uint32_t>(0);
  writer.write<std::uint32_t>(1);
  for (int i = 0; i < 3; ++i) writer.write<std::uint64_t>(0);  // position
  writer.write<std::uint64_t>(0xabc);
  writer.write<std::uint32_t>(3);
  for (const std::int64_t offset : {10, 99, 0}) writer.write<std::int64_t>(offset);
  writer.write<std::uint32_t>(1);
  writer.write<std::int64_t>(10);
  writer.write<std::uint64_t>(500);
  writer.write<std::int64_t>(1000);
  writer.write<std::uint8_t>(0);
  writer.patch<std::uint32_t>(4, crc32c(Bytes(bytes).subspan(8)));
  const auto decoded = decode_checkpoint(bytes);
  ASSERT_TRUE(decoded) << decoded.error().text;
  const PartitionState& state = decoded->partitions.at(0);
  EXPECT_EQ(state.end, Offset{99});
  EXPECT_EQ(state.segments.at(0).max_timestamp, 1000);
  EXPECT_EQ(state.segments.at(0).generation, 0u);
  EXPECT_EQ(state.compaction, nullptr);
}

TEST(SegmentIndex, FindsWhereToBegin) {
  SegmentIndex index;
  for (int i = 0; i < 10; ++i)
    index.add({100 + i}, static_cast<std::uint64_t>(i) * SegmentIndex::spacing, 1000 + i);
  EXPECT_EQ(index.find({99}), 0u);
  EXPECT_EQ(index.find({103}), 3 * SegmentIndex::spacing);
  EXPECT_EQ(index.find({500}), 9 * SegmentIndex::spacing);
  EXPECT_EQ(index.find_time(0), 0u);
  EXPECT_EQ(index.find_time(1003), 3 * SegmentIndex::spacing) << "all before are older";
  EXPECT_EQ(index.offset_at(0), Offset{100});
  EXPECT_EQ(index.offset_at(3 * SegmentIndex::spacing - 1), Offset{102});
  EXPECT_EQ(index.offset_at(3 * SegmentIndex::spacing), Offset{103});
  EXPECT_EQ(index.offset_at(50 * SegmentIndex::spacing), Offset{109});
  EXPECT_EQ(SegmentIndex().offset_at(7), std::nullopt);
  const Buffer bytes = index.encode({100}, 12345);
  EXPECT_EQ(SegmentIndex::decode(bytes, {100}, 12345)->find({103}), 3 * SegmentIndex::spacing);
  EXPECT_FALSE(SegmentIndex::decode(bytes, {100}, 12346)) << "the segment has another size";
  expect_no_damage_passes(
      bytes, [](const Buffer& b) { return SegmentIndex::decode(b, {100}, 12345).has_value(); });
}

TEST(ProducerTable, FollowsSequencesOverTheirWrap) {
  constexpr std::int32_t last = 0x7fff'ffff;
  ProducerTable table;
  table.add({.producer_id = 1, .epoch = 0, .base_sequence = last - 1, .count = 3}, {0}, 0);
  EXPECT_TRUE(table.check({.producer_id = 1, .epoch = 0, .base_sequence = 1, .count = 1}));
  EXPECT_FALSE(table.check({.producer_id = 1, .epoch = 0, .base_sequence = 2, .count = 1}));
}

TEST(ProducerTable, TakesANewEpochFromSequenceZeroOnly) {
  ProducerTable table;
  table.add({.producer_id = 1, .epoch = 4, .base_sequence = 10, .count = 1}, {0}, 0);
  EXPECT_EQ(
      table.check({.producer_id = 1, .epoch = 5, .base_sequence = 11, .count = 1}).error().code,
      Errc::sequence_gap);
  EXPECT_TRUE(table.check({.producer_id = 1, .epoch = 5, .base_sequence = 0, .count = 1}));
  EXPECT_EQ(
      table.check({.producer_id = 1, .epoch = 3, .base_sequence = 11, .count = 1}).error().code,
      Errc::producer_fenced);
}

TEST(ProducerTable, ForgetsWhatIsTakenBackOrNotUsed) {
  ProducerTable table;
  table.add({.producer_id = 1, .epoch = 0, .base_sequence = 0, .count = 1}, {10}, 100);
  table.add({.producer_id = 1, .epoch = 0, .base_sequence = 1, .count = 1}, {11}, 100);
  table.rollback({11});
  EXPECT_FALSE(
      table.check({.producer_id = 1, .epoch = 0, .base_sequence = 1, .count = 1})->duplicate);
  EXPECT_TRUE(
      table.check({.producer_id = 1, .epoch = 0, .base_sequence = 0, .count = 1})->duplicate);
  table.expire(101);
  EXPECT_TRUE(table.empty());
}

TEST(ProducerTable, StaysWithinItsBound) {
  ProducerTable table;
  for (std::int64_t id = 0; id <= static_cast<std::int64_t>(ProducerTable::producers_max); ++id)
    table.add({.producer_id = id, .epoch = 0, .base_sequence = 0, .count = 1}, {id}, id);
  EXPECT_EQ(table.size(), ProducerTable::producers_max);
  EXPECT_FALSE(
      table.check({.producer_id = 0, .epoch = 0, .base_sequence = 0, .count = 1})->duplicate)
      << "the one unused for longest made room";
}

TEST(Retention, KeepsAtLeastTheBytesItPromises) {
  PartitionLog partition;
  partition.options.retention_bytes = 250;
  partition.state.segments = {{{0}, 100, 1}, {{10}, 100, 2}, {{20}, 100, 3}, {{30}, 100, 4}};
  partition.state.end = partition.visible_end = partition.written_until = {40};
  EXPECT_EQ(apply_retention(partition, 1000).size(), 1u) << "300 bytes stay, 200 would be too few";
  EXPECT_EQ(partition.state.start, Offset{10});
}

TEST(Retention, JudgesASegmentByItsNewestRecord) {
  PartitionLog partition;
  partition.options.retention_ms = 100;
  partition.state.segments = {{{0}, 100, 850}, {{10}, 100, 950}, {{20}, 100, 880}};
  partition.state.end = partition.visible_end = partition.written_until = {30};
  EXPECT_EQ(apply_retention(partition, 1000).size(), 1u)
      << "the second is young, and holds back the third";
  EXPECT_EQ(partition.state.start, Offset{10});
}

}  // namespace
}  // namespace sluice::log
