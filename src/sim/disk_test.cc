#include "sim/disk.h"

#include <gtest/gtest.h>

#include <set>

#include "base/aligned_memory.h"

namespace sluice::sim {
namespace {

constexpr std::size_t sector_size = 512;
constexpr std::uint64_t seed_count = 300;

Buffer filled(std::size_t size, int value) { return Buffer(size, static_cast<std::byte>(value)); }

void write(File& file, std::uint64_t at, const Buffer& content) {
  const Bytes piece = content;
  ASSERT_TRUE(file.write_at(at, {&piece, 1}));
}

std::unique_ptr<File> open(SimDisk& disk, const std::string& path,
                           OpenMode mode = OpenMode::write) {
  auto file = disk.open(path, mode);
  EXPECT_TRUE(file) << file.error().text;
  return std::move(*file);
}

// A file "f" whose name is durable and whose content is synced.
std::unique_ptr<File> synced_file(SimDisk& disk, const Buffer& content) {
  auto file = open(disk, "f");
  write(*file, 0, content);
  EXPECT_TRUE(file->sync());
  EXPECT_TRUE(disk.sync_dir(""));
  return file;
}

Buffer content_of(SimDisk& disk, const std::string& path) {
  auto file = open(disk, path, OpenMode::read);
  Buffer content(*file->size());
  EXPECT_EQ(*file->read_at(0, content), content.size());
  return content;
}

// What `number`-th sector holds, if it holds one value only.
int sector_value(const Buffer& content, std::size_t number) {
  const auto sector = Bytes(content).subspan(number * sector_size, sector_size);
  EXPECT_EQ(std::set<std::byte>(sector.begin(), sector.end()).size(), 1u)
      << "a sector is never mixed";
  return std::to_integer<int>(sector[0]);
}

TEST(SimDisk, WhatWasSyncedSurvivesEveryCrash) {
  for (std::uint64_t seed = 0; seed < seed_count; ++seed) {
    SimDisk disk(seed);
    auto file = open(disk, "f");
    const auto content = filled(5000, 7);
    write(*file, 0, filled(9000, 3));
    ASSERT_TRUE(file->truncate(100));
    write(*file, 0, content);
    ASSERT_TRUE(file->sync());
    ASSERT_TRUE(disk.sync_dir(""));
    disk.crash();
    ASSERT_EQ(content_of(disk, "f"), content) << "seed " << seed;
  }
}

TEST(SimDisk, UnsyncedSectorsHoldContentOfSomeMomentAndAllKindsOfDamageHappen) {
  std::set<std::vector<int>> outcomes;
  for (std::uint64_t seed = 0; seed < seed_count; ++seed) {
    SimDisk disk(seed);
    const auto file = synced_file(disk, filled(3 * sector_size, 1));
    write(*file, 0, filled(2 * sector_size, 2));
    write(*file, sector_size, filled(2 * sector_size, 3));
    disk.crash();
    const auto content = content_of(disk, "f");
    ASSERT_EQ(content.size(), 3 * sector_size);
    std::vector<int> sectors;
    for (std::size_t i = 0; i < 3; ++i) sectors.push_back(sector_value(content, i));
    ASSERT_NE(sectors[0], 3);
    ASSERT_NE(sectors[2], 2);
    outcomes.insert(sectors);
  }
  EXPECT_TRUE(outcomes.contains({1, 1, 1})) << "all lost";
  EXPECT_TRUE(outcomes.contains({2, 3, 3})) << "all kept";
  EXPECT_TRUE(outcomes.contains({2, 2, 1})) << "the second lost";
  EXPECT_TRUE(outcomes.contains({1, 3, 3})) << "out of order";
  EXPECT_TRUE(outcomes.contains({2, 3, 1})) << "the second torn";
}

TEST(SimDisk, PartsOfASectorAreKeptTogether) {
  for (std::uint64_t seed = 0; seed < seed_count; ++seed) {
    SimDisk disk(seed);
    const auto file = synced_file(disk, filled(sector_size, 1));
    write(*file, 0, filled(100, 2));
    write(*file, 100, filled(100, 3));
    disk.crash();
    const auto content = content_of(disk, "f");
    if (content[100] == std::byte{3}) {
      ASSERT_EQ(content[0], std::byte{2}) << "seed " << seed;
    }
  }
}

TEST(SimDisk, AGrownFileMayLoseItsDataButNotItsEarlierContent) {
  std::set<std::size_t> sizes;
  bool zeros = false;
  for (std::uint64_t seed = 0; seed < seed_count; ++seed) {
    SimDisk disk(seed);
    const auto file = synced_file(disk, filled(sector_size, 1));
    write(*file, sector_size, filled(700, 2));
    disk.crash();
    const auto content = content_of(disk, "f");
    sizes.insert(content.size());
    ASSERT_EQ(sector_value(content, 0), 1);
    zeros |= content.size() > sector_size && content[sector_size] == std::byte{0};
  }
  EXPECT_EQ(sizes, (std::set<std::size_t>{sector_size, sector_size + 700}));
  EXPECT_TRUE(zeros);
}

TEST(SimDisk, ANewFilesNameNeedsASyncOfItsDirectory) {
  std::set<bool> exists;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    SimDisk disk(seed);
    ASSERT_TRUE(disk.make_dirs("a/b"));
    ASSERT_TRUE(disk.sync_dir(""));
    ASSERT_TRUE(disk.sync_dir("a"));
    ASSERT_TRUE(open(disk, "a/b/f")->sync());
    disk.crash();
    ASSERT_TRUE(*disk.exists("a/b"));
    exists.insert(*disk.exists("a/b/f"));
  }
  EXPECT_EQ(exists.size(), 2u) << "kept by some seeds, lost by others";
}

TEST(SimDisk, ARenameIsAtomicAndDurableAfterSyncOfTheDirectory) {
  std::set<int> values;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    SimDisk disk(seed);
    synced_file(disk, filled(sector_size, 1));
    const auto replacement = open(disk, "f.new");
    write(*replacement, 0, filled(sector_size, 2));
    ASSERT_TRUE(replacement->sync());
    ASSERT_TRUE(disk.rename("f.new", "f"));
    const bool synced = seed % 2 == 0;
    if (synced) {
      ASSERT_TRUE(disk.sync_dir(""));
    }
    disk.crash();
    const auto value = sector_value(content_of(disk, "f"), 0);
    if (synced) {
      ASSERT_EQ(value, 2);
      ASSERT_FALSE(*disk.exists("f.new"));
    }
    values.insert(value);
  }
  EXPECT_EQ(values, (std::set<int>{1, 2}));
}

TEST(SimDisk, NamesOfOneDirectorySurviveInOrder) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    SimDisk disk(seed);
    open(disk, "first");
    open(disk, "second");
    disk.crash();
    ASSERT_GE(*disk.exists("first"), *disk.exists("second")) << "seed " << seed;
  }
}

TEST(SimDisk, AfterAFailedSyncALaterOneProvesNothingForWhatWasWrittenBefore) {
  std::set<int> first;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    SimDisk disk(seed);
    const auto file = synced_file(disk, filled(2 * sector_size, 1));
    write(*file, 0, filled(sector_size, 2));
    disk.fail_next_syncs(1);
    ASSERT_FALSE(file->sync());
    write(*file, sector_size, filled(sector_size, 3));
    ASSERT_TRUE(file->sync());
    disk.crash();
    const auto content = content_of(disk, "f");
    first.insert(sector_value(content, 0));
    ASSERT_EQ(sector_value(content, 1), 3) << "written anew after the failure";
  }
  EXPECT_EQ(first, (std::set<int>{1, 2}));
}

TEST(SimDisk, SyncAllCoversContentAndNames) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    SimDisk disk(seed);
    ASSERT_TRUE(disk.make_dirs("a/b"));
    write(*open(disk, "a/b/f"), 0, filled(sector_size, 4));
    ASSERT_TRUE(disk.sync_all());
    disk.crash();
    ASSERT_EQ(content_of(disk, "a/b/f"), filled(sector_size, 4));
  }
}

TEST(SimDisk, AKilledProcessLosesNothingAndTheBootIdStays) {
  SimDisk disk(1);
  const auto boot = disk.boot_id();
  const auto file = open(disk, "f");
  write(*file, 0, filled(sector_size, 5));
  disk.kill();
  EXPECT_EQ(disk.boot_id(), boot);
  EXPECT_EQ(content_of(disk, "f"), filled(sector_size, 5));
  EXPECT_EQ(file->sync().error().code, Errc::closed) << "a file of the dead process";
  disk.crash();
  EXPECT_NE(disk.boot_id(), boot);
}

TEST(SimDisk, CrashAtStopsTheMachineBeforeThatOperation) {
  SimDisk disk(1);
  const auto file = synced_file(disk, filled(sector_size, 1));
  disk.crash_at(disk.operations() + 1);
  write(*file, 0, filled(sector_size, 2));
  EXPECT_THROW(static_cast<void>(file->sync()), Crashed);
  EXPECT_FALSE(file->sync()) << "nothing works until the restart";
  EXPECT_FALSE(disk.exists("f"));
  disk.crash();
  EXPECT_TRUE(*disk.exists("f"));
}

TEST(SimDisk, AFullDiskRefusesGrowthOnlyAndRemovingGivesRoom) {
  SimDisk disk(1);
  disk.set_capacity(1000);
  const auto file = open(disk, "f");
  write(*file, 0, filled(900, 1));
  const auto more = filled(200, 2);
  const Bytes piece = more;
  EXPECT_EQ(file->write_at(900, {&piece, 1}).error().code, Errc::disk_full);
  EXPECT_EQ(*disk.free_bytes(), 0u) << "a part was written";
  EXPECT_TRUE(file->write_at(0, {&piece, 1})) << "overwriting needs no room";
  EXPECT_EQ(open(disk, "g")->truncate(1).error().code, Errc::disk_full);
  ASSERT_TRUE(disk.remove("f"));
  EXPECT_EQ(*disk.free_bytes(), 1000u);
}

TEST(SimDisk, RemoveAllTakesATreeAndMayBeHalfDoneAfterACrash) {
  std::set<std::size_t> left;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SimDisk disk(seed);
    ASSERT_TRUE(disk.make_dirs("a/b"));
    open(disk, "a/b/1");
    open(disk, "a/b/2");
    ASSERT_TRUE(disk.sync_all());
    ASSERT_TRUE(disk.remove_all("a"));
    ASSERT_FALSE(*disk.exists("a"));
    disk.crash();
    left.insert(disk.list("a/b")->size());
  }
  EXPECT_EQ(left, (std::set<std::size_t>{0, 1, 2}));
}

TEST(SimDisk, CorruptFlipsOneBitOfTheStoredContent) {
  SimDisk disk(1);
  synced_file(disk, filled(sector_size, 0));
  disk.corrupt("f", 9);
  disk.crash();
  auto expected = filled(sector_size, 0);
  expected[9] = std::byte{1};
  EXPECT_EQ(content_of(disk, "f"), expected);
}

TEST(SimDisk, PastThePageCacheOnlyWholeBlocksAreRead) {
  SimDisk disk(1);
  synced_file(disk, filled(5000, 7));
  const auto file = open(disk, "f", OpenMode::read_direct);
  const AlignedMemory memory(2 * direct_block);
  EXPECT_EQ(file->read_at(0, memory.bytes()).value(), 5000u) << "the file ends there";
  EXPECT_DEATH(static_cast<void>(file->read_at(100, memory.bytes())), "");
  EXPECT_DEATH(static_cast<void>(file->read_at(0, memory.bytes().first(100))), "");
  EXPECT_DEATH(static_cast<void>(file->read_at(0, memory.bytes().subspan(8, direct_block))), "");
  EXPECT_EQ(disk.open("g", OpenMode::read_direct).error().code, Errc::io) << "there is none";
}

TEST(SimDisk, OneSeedGivesOneOutcome) {
  const auto run = [](std::uint64_t seed) {
    SimDisk disk(seed);
    const auto file = synced_file(disk, filled(8 * sector_size, 1));
    for (int i = 2; i < 10; ++i) write(*file, static_cast<std::uint64_t>(i) * 300, filled(1000, i));
    disk.crash();
    return content_of(disk, "f");
  };
  std::set<std::vector<std::byte>> outcomes;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto content = run(seed);
    ASSERT_EQ(content, run(seed));
    outcomes.emplace(content.begin(), content.end());
  }
  EXPECT_GT(outcomes.size(), 5u);
}

}  // namespace
}  // namespace sluice::sim
