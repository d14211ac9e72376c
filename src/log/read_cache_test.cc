#include "log/read_cache.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "base/quiet_logger_test.h"
#include "log/record_batch.h"
#include "log/segment_store.h"
#include "log/sim_log_test.h"
#include "sim/disk.h"

namespace sluice::log {
namespace {

constexpr std::size_t chunk_size = 2 * direct_block;
constexpr ReadCache::Config two_chunks{.size = 8 * chunk_size, .chunk_size = chunk_size};
constexpr Partition p0{{7}, 0};
constexpr Partition p1{{7}, 1};
constexpr SegmentKey s0{p0, {{0}, 0}};

// A file whose reads are counted.
class CountedFile final : public File {
 public:
  CountedFile(std::unique_ptr<File> file, std::uint64_t& reads)
      : file_(std::move(file)), reads_(reads) {}
  Result<std::size_t> read_at(std::uint64_t at, MutableBytes out) override {
    ++reads_;
    return file_->read_at(at, out);
  }
  Result<void> write_at(std::uint64_t at, std::span<const Bytes> pieces) override {
    return file_->write_at(at, pieces);
  }
  Result<void> sync() override { return file_->sync(); }
  Result<void> truncate(std::uint64_t size) override { return file_->truncate(size); }
  Result<std::uint64_t> size() override { return file_->size(); }
  void start_writeback(std::uint64_t, std::uint64_t) override {}

 private:
  std::unique_ptr<File> file_;
  std::uint64_t& reads_;
};

// A file of `size` bytes, each of which says where it stands.
class ReadCacheTest : public testing::Test {
 protected:
  static constexpr std::size_t size = 20 * direct_block + 100;

  static std::byte byte_at(std::uint64_t at) { return static_cast<std::byte>(at * 31 >> 3); }

  void SetUp() override {
    Buffer content(size);
    for (std::size_t i = 0; i < size; ++i) content[i] = byte_at(i);
    const Bytes piece = content;
    ASSERT_TRUE((*disk_.open("f", OpenMode::write))->write_at(0, {&piece, 1}));
    file_ = std::make_unique<CountedFile>(*disk_.open("f", OpenMode::read_direct), reads_);
  }

  std::shared_ptr<const Chunk> get(std::uint64_t at, std::uint64_t count,
                                   std::uint64_t end = size) {
    if (auto found = cache_.find(s0, at, count)) return found;
    return cache_.load(s0, *file_, {.at = at, .size = count, .ahead = chunk_size, .end = end})
        .value();
  }
  static void expect_content(const Chunk& chunk, std::uint64_t at, std::uint64_t count) {
    const Bytes bytes = chunk.bytes(at, count);
    ASSERT_EQ(bytes.size(), count);
    for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(bytes[i], byte_at(at + i)) << at + i;
  }

  sim::SimDisk disk_{1};
  std::uint64_t reads_ = 0;
  std::unique_ptr<File> file_;
  ReadCache cache_{two_chunks};
};

TEST_F(ReadCacheTest, ReadersAtOnePlaceReadTheFileOnce) {
  const auto first = get(5000, 100);
  expect_content(*first, 5000, 100);
  EXPECT_EQ(first->at, direct_block);
  EXPECT_EQ(get(5100, 3000), first);
  EXPECT_EQ(reads_, 1u);
}

TEST_F(ReadCacheTest, WhatCrossesTheEndOfAChunkLiesWholeInTheNext) {
  const auto first = get(0, 100);
  const auto next = get(first->end - 10, 100);
  EXPECT_NE(next, first);
  expect_content(*next, first->end - 10, 100);
  EXPECT_EQ(get(first->end - 10, 10), next) << "it begins later and reaches further";
  EXPECT_EQ(get(100, 100), first) << "both are remembered";
}

TEST_F(ReadCacheTest, WhatIsLargerThanAChunkComesWholeAndIsNotKept) {
  expect_content(*get(direct_block - 1, chunk_size), direct_block - 1, chunk_size);
  expect_content(*get(direct_block - 1, chunk_size), direct_block - 1, chunk_size);
  EXPECT_EQ(reads_, 2u);
}

TEST_F(ReadCacheTest, ReadsAheadOnlyAsFarAsItIsTold) {
  const auto chunk =
      cache_.load(s0, *file_, {.at = 0, .size = 61, .ahead = direct_block, .end = size}).value();
  EXPECT_EQ(chunk->end, direct_block);
}

TEST_F(ReadCacheTest, TheOneThatWasUsedLeastRecentlyGoes) {
  const auto first = get(0, 100).get();
  get(chunk_size, 100);
  EXPECT_EQ(get(0, 100).get(), first);
  get(2 * chunk_size, 100);
  EXPECT_EQ(cache_.find(s0, chunk_size, 100), nullptr);
  EXPECT_EQ(cache_.find(s0, 0, 100).get(), first);
}

TEST_F(ReadCacheTest, MemoryIsUsedAgainOnceNobodyHoldsIt) {
  std::set<const std::byte*> memory;
  for (std::size_t i = 0; i < 10; ++i)
    memory.insert(get(i * chunk_size, 100)->memory->bytes().data());
  EXPECT_EQ(memory.size(), 2u);
}

TEST_F(ReadCacheTest, WhatSomebodyHoldsIsLeftAlone) {
  const auto held = get(0, chunk_size);
  for (std::size_t i = 1; i < 10; ++i) {
    const auto chunk = get(i * chunk_size, 100);
    EXPECT_NE(chunk->memory->bytes().data(), held->memory->bytes().data());
  }
  expect_content(*held, 0, chunk_size);
}

TEST_F(ReadCacheTest, AChunkMayComeBackFromAnotherThreadAfterTheCacheIsGone) {
  auto cache = std::make_unique<ReadCache>(two_chunks);
  auto chunk = cache->load(s0, *file_, {.at = 0, .size = 100, .ahead = chunk_size, .end = size});
  std::thread reader([held = std::move(*chunk)] { expect_content(*held, 0, chunk_size); });
  cache.reset();
  reader.join();
}

TEST_F(ReadCacheTest, WhatCameBehindAChunksEndLaterIsReadAnew) {
  const auto before = get(0, 100, 5000);
  EXPECT_EQ(before->end, 5000u);
  EXPECT_FALSE(cache_.find(s0, 4990, 20));
  expect_content(*get(4990, 20, 6000), 4990, 20);
  EXPECT_TRUE(before->bytes(5000, 10).empty());
}

TEST_F(ReadCacheTest, AFileThatEndsEarlyGivesWhatItHas) {
  const auto chunk = get(size - 50, 100, size + 10'000);
  EXPECT_FALSE(chunk->holds(size - 50, 100));
  expect_content(*chunk, size - 50, 50);
  EXPECT_EQ(chunk->bytes(size - 50, 100).size(), 50u);
}

TEST_F(ReadCacheTest, ForgetsASegmentOrAPartition) {
  const SegmentKey later{p0, {{9}, 1}};
  const SegmentKey other{p1, {{0}, 0}};
  const auto load = [&](const SegmentKey& key) {
    ASSERT_TRUE(cache_.load(key, *file_, {.at = 0, .size = 9, .ahead = 0, .end = size}));
  };
  load(s0);
  load(later);
  cache_.forget(s0);
  EXPECT_FALSE(cache_.find(s0, 0, 9));
  EXPECT_TRUE(cache_.find(later, 0, 9));
  load(other);
  cache_.forget(p0);
  EXPECT_FALSE(cache_.find(later, 0, 9));
  EXPECT_TRUE(cache_.find(other, 0, 9));
}

// What a store makes of segment files.
class ReadFromSegments : public testing::Test {
 protected:
  // A segment of batches of about 1 KiB; the offset of each is its number.
  Segment write(SegmentId id, std::int64_t count, std::uint64_t at = 0) {
    SegmentWrite write{.partition = p0, .segment = id, .at = at, .blocks = {}, .known = {}};
    for (std::int64_t i = 0; i < count; ++i) {
      auto block = make_block(
          {.values = {fmt::format("{}:{}", id.generation, next_) + std::string(1000, '.')}});
      block->stamp({next_++}, 0);
      write.blocks.push_back(std::move(block));
    }
    EXPECT_TRUE(store_.write(write));
    return {.base = id.base, .size = at + write.size(), .generation = id.generation};
  }
  SegmentRead read(const Segment& segment, Offset from, std::size_t bytes_max) {
    const SegmentRange range{p0, {segment}, {next_}, true};
    return store_.read(range, from, bytes_max).value();
  }
  static std::string first_value(const SegmentRead& read) {
    std::vector<Seen> seen;
    append_records({read.blocks.at(0)}, seen);
    return seen.at(0).value.substr(0, seen.at(0).value.find('.'));
  }
  static bool touch(const BlockRef& a, const BlockRef& b) {
    return a->bytes().data() + a->bytes().size() == b->bytes().data();
  }

  sim::SimDisk disk_{1};
  SegmentStore store_{disk_, {.open_files_max = 4, .direct_io = true, .reads = two_chunks}};
  std::int64_t next_ = 0;
  QuietLogger quiet_;
};

TEST_F(ReadFromSegments, BatchesLieWhereTheyWereReadTo) {
  const Segment segment = write({}, 20);
  const auto result = read(segment, {0}, 4000);
  ASSERT_EQ(result.blocks.size(), 4u);
  EXPECT_TRUE(touch(result.blocks[0], result.blocks[1]));
  EXPECT_GT(result.blocks[0]->footprint(), result.blocks[0]->bytes().size());
  EXPECT_LT(result.blocks[0]->footprint(), 2 * result.blocks[0]->bytes().size());
}

TEST_F(ReadFromSegments, AnAnswerEndsWithItsChunkIfThatIsHalfOfIt) {
  const Segment segment = write({}, 20);
  const auto result = read(segment, {0}, chunk_size);
  EXPECT_EQ(result.blocks.size(), 7u) << "the eighth crosses the chunk's end";
  EXPECT_EQ(result.next, Offset{7});
  EXPECT_EQ(read(segment, result.next, chunk_size).blocks[0]->from(), Offset{7});
  EXPECT_EQ(read(segment, {0}, 100'000).blocks.size(), 20u) << "that is no half of it";
}

TEST_F(ReadFromSegments, ASmallPortionIsCopiedAndHoldsNothingElse) {
  const Segment segment = write({}, 20);
  const auto large = read(segment, {0}, 4000);
  const auto small = read(segment, {0}, 10);
  ASSERT_EQ(small.blocks.size(), 1u);
  EXPECT_NE(small.blocks[0]->bytes().data(), large.blocks[0]->bytes().data());
  EXPECT_TRUE(std::ranges::equal(small.blocks[0]->bytes(), large.blocks[0]->bytes()));
}

TEST_F(ReadFromSegments, WhatIsAppendedToTheSegmentIsSeen) {
  Segment segment = write({}, 2);
  EXPECT_EQ(read(segment, {0}, 100'000).blocks.size(), 2u);
  segment = write({}, 3, segment.size);
  EXPECT_EQ(read(segment, {0}, 100'000).blocks.size(), 5u);
  EXPECT_EQ(read(segment, {3}, 100'000).blocks.size(), 2u);
}

TEST_F(ReadFromSegments, ADeletedSegmentsBatchesAreNotThoseOfItsSuccessor) {
  const Segment old = write({}, 3);
  const auto held = read(old, {0}, 100'000);
  ASSERT_EQ(first_value(held), "0:0");
  ASSERT_TRUE(store_.remove(p0, old.id()));
  next_ = 0;
  const Segment rewritten = write({{0}, 1}, 3);
  EXPECT_EQ(first_value(read(rewritten, {0}, 100'000)), "1:0") << "compacted";
  ASSERT_TRUE(store_.remove_partition(p0));
  next_ = 10;
  const Segment again = write({{0}, 1}, 3);
  EXPECT_EQ(first_value(read(again, {0}, 100'000)), "1:10") << "made anew under the same name";
  EXPECT_EQ(first_value(held), "0:0") << "readers keep what they have";
}

TEST_F(ReadFromSegments, DamageInAChunkIsSkipped) {
  const Segment segment = write({}, 7);
  disk_.corrupt(segment_path(p0, segment.id()), segment.size / 2);
  const auto result = read(segment, {0}, 100'000);
  EXPECT_EQ(result.blocks.size(), 6u);
  EXPECT_EQ(result.skipped, 1u);
  EXPECT_EQ(result.damaged_places, 1u);
}

TEST_F(ReadFromSegments, AFileThatLostItsEndIsDamaged) {
  const Segment segment = write({}, 20);
  ASSERT_TRUE((*disk_.open(segment_path(p0, segment.id()), OpenMode::write))->truncate(9'000));
  SegmentRead all{.blocks = {}, .next = {0}};
  while (all.next < Offset{next_}) {
    auto result = read(segment, all.next, chunk_size);
    all.next = result.next;
    all.skipped += result.skipped;
    all.blocks.insert(all.blocks.end(), result.blocks.begin(), result.blocks.end());
  }
  EXPECT_EQ(all.blocks.size(), 8u);
  EXPECT_EQ(all.skipped, 12u);
}

}  // namespace
}  // namespace sluice::log
