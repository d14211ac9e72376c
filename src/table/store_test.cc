#include "table/store.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>

#include "sim/temp_dir.h"
#include "table/bytes_test.h"
#include "table/memory_store_test.h"
#include "table/rocks_store.h"

namespace sluice::table {
namespace {

namespace fs = std::filesystem;

// A store that may be killed: what was not durable is gone.
class TestStore {
 public:
  virtual ~TestStore() = default;
  virtual Store& store() = 0;
  virtual void kill() = 0;
  virtual void restart() = 0;  // in good order
};

class InMemory final : public TestStore {
 public:
  Store& store() override { return store_; }
  void kill() override { store_.crash(); }
  void restart() override { static_cast<void>(store_.flush()); }

 private:
  MemoryStore store_;
};

class OnDisk final : public TestStore {
 public:
  OnDisk() { open(); }

  Store& store() override { return *store_; }
  // A copy of the files is what a killed process leaves.
  void kill() override {
    const auto before = directory();
    ++lives_;
    if (fs::exists(before)) fs::copy(before, directory(), fs::copy_options::recursive);
    open();
  }
  void restart() override {
    ASSERT_TRUE(store_->flush());
    store_.reset();
    open();
  }
  [[nodiscard]] fs::path directory() const { return root_.path() / std::to_string(lives_); }
  void close() { store_.reset(); }
  void open() { store_ = std::make_unique<RocksStore>(directory()); }

 private:
  sim::TempDir root_;
  int lives_ = 0;
  std::unique_ptr<RocksStore> store_;
};

using Maker = std::function<std::unique_ptr<TestStore>()>;

class StoreContract : public testing::TestWithParam<std::pair<std::string, Maker>> {
 protected:
  StoreContract() : test_(GetParam().second()) {}
  Store& store() { return test_->store(); }

  struct Put {
    std::string key;
    std::optional<std::string> value;
  };
  Result<void> write(std::uint32_t slot, const std::vector<Put>& puts, std::int64_t next,
                     bool clear = false, std::string_view table = "t") {
    SlotChange change{
        .slot = slot, .clear = clear, .rows = {}, .fold = {StreamId{7}, Offset{next}, 1000}};
    for (const auto& [key, value] : puts) {
      RowChange row{.key = key, .value = {}};
      if (value) row.value = as_bytes(*value);
      change.rows.push_back(row);
    }
    return store().write(table, std::span(&change, 1));
  }
  std::vector<std::string> keys(std::uint32_t slot, const Range& range = {}) {
    const auto portion = store().scan("t", slot, range);
    EXPECT_TRUE(portion);
    std::vector<std::string> found;
    for (const auto& row : portion->rows) found.push_back(row.key);
    return found;
  }
  std::int64_t folded(std::uint32_t slot) {
    const auto kept = store().kept("t", slot);
    EXPECT_TRUE(kept);
    return kept->fold ? kept->fold->next.value : -1;
  }

  std::unique_ptr<TestStore> test_;
};

using Keys = std::vector<std::string>;

TEST_P(StoreContract, NothingIsThereAtFirst) {
  const auto kept = store().kept("t", 3);
  ASSERT_TRUE(kept);
  EXPECT_FALSE(kept->fold);
  EXPECT_TRUE(kept->empty);
  EXPECT_EQ(*store().get("t", 3, "k"), std::nullopt);
  EXPECT_EQ(keys(3), Keys{});
  EXPECT_EQ(*store().persisted("t", 3), std::nullopt);
  EXPECT_TRUE(store().flush());
}

TEST_P(StoreContract, RowsAndFoldStateOfAWriteAreThereTogether) {
  ASSERT_TRUE(write(3, {{"a", "1"}, {"b", "2"}, {"", "empty"}, {"b", "3"}, {"a", {}}}, 5));
  EXPECT_EQ(*store().get("t", 3, "a"), std::nullopt);
  EXPECT_EQ(**store().get("t", 3, "b"), bytes("3"));
  EXPECT_EQ(**store().get("t", 3, ""), bytes("empty"));
  const auto kept = store().kept("t", 3);
  ASSERT_TRUE(kept && kept->fold);
  EXPECT_EQ(*kept->fold, (FoldState{StreamId{7}, Offset{5}, 1000}));
  EXPECT_FALSE(kept->empty);
}

TEST_P(StoreContract, AValueMayBeEmptyAndIsNotAMissingRow) {
  ASSERT_TRUE(write(0, {{"k", ""}}, 1));
  const auto found = store().get("t", 0, "k");
  ASSERT_TRUE(found && *found);
  EXPECT_TRUE((*found)->empty());
}

TEST_P(StoreContract, SlotsAndTablesDoNotSeeEachOther) {
  ASSERT_TRUE(write(0, {{"k", "0"}}, 1));
  ASSERT_TRUE(write(1, {{"k", "1"}}, 2));
  ASSERT_TRUE(write(63, {{"k", "63"}}, 3));
  ASSERT_TRUE(write(0, {{"k", "other"}, {"z", "z"}}, 4, false, "u"));
  EXPECT_EQ(**store().get("t", 0, "k"), bytes("0"));
  EXPECT_EQ(**store().get("t", 63, "k"), bytes("63"));
  EXPECT_EQ(keys(0), Keys{"k"});
  EXPECT_EQ(keys(63), Keys{"k"});
  EXPECT_EQ(folded(1), 2);
  EXPECT_TRUE(store().kept("t", 2)->empty);
}

TEST_P(StoreContract, AScanGoesThroughARangeInPortionsInTheOrderOfBytes) {
  ASSERT_TRUE(write(1, {{"b", "1"}, {"a", "1"}, {"\xff", "1"}, {"a\x01", "1"}, {"c", "1"}}, 5));
  EXPECT_EQ(keys(1), (Keys{"a", "a\x01", "b", "c", "\xff"}));
  EXPECT_EQ(keys(1, {.from = "a\x01", .until = "c"}), (Keys{"a\x01", "b"}));
  auto portion = store().scan("t", 1, {.from = "b", .until = {}, .rows_max = 2});
  ASSERT_TRUE(portion);
  ASSERT_EQ(portion->rows.size(), 2u);
  EXPECT_EQ(portion->next, "\xff");
  portion = store().scan("t", 1, {.from = "b", .until = "\xff", .rows_max = 2});
  EXPECT_EQ(portion->next, std::nullopt) << "the range is through";
  portion = store().scan("t", 1, {.from = {}, .until = {}, .rows_max = 9, .bytes_max = 4});
  EXPECT_EQ(portion->rows.size(), 2u);
  EXPECT_EQ(portion->next, "b");
  EXPECT_EQ(keys(1, {.from = "x", .until = "b"}), Keys{});
}

TEST_P(StoreContract, AClearedSlotHasOnlyWhatCameWithTheClearing) {
  ASSERT_TRUE(write(1, {{"a", "1"}, {"b", "1"}}, 5));
  ASSERT_TRUE(write(2, {{"a", "1"}}, 6));
  ASSERT_TRUE(write(1, {{"b", "2"}}, 0, true));
  EXPECT_EQ(keys(1), Keys{"b"});
  EXPECT_EQ(keys(2), Keys{"a"});
  EXPECT_EQ(folded(1), 0);
  test_->restart();
  EXPECT_EQ(keys(1), Keys{"b"});
}

TEST_P(StoreContract, WhatWasFlushedSurvivesBeingKilled) {
  ASSERT_TRUE(write(1, {{"a", "1"}}, 5));
  ASSERT_TRUE(write(1, {{"b", "1"}}, 7, false, "u"));
  ASSERT_TRUE(store().flush());
  EXPECT_EQ((*store().persisted("t", 1))->next, Offset{5});
  ASSERT_TRUE(write(1, {{"a", {}}, {"c", "1"}}, 9));
  EXPECT_EQ((*store().persisted("t", 1))->next, Offset{5});
  EXPECT_EQ(folded(1), 9);
  test_->kill();
  EXPECT_EQ(folded(1), 5);
  EXPECT_EQ(keys(1), Keys{"a"});
  EXPECT_EQ(**store().get("u", 1, "b"), bytes("1"));
}

TEST_P(StoreContract, ARestartKeepsEverything) {
  for (std::uint32_t slot = 0; slot < 64; ++slot)
    ASSERT_TRUE(write(slot, {{"k", std::to_string(slot)}}, slot + 1));
  test_->restart();
  for (std::uint32_t slot = 0; slot < 64; ++slot) {
    EXPECT_EQ(folded(slot), slot + 1);
    EXPECT_EQ(**store().get("t", slot, "k"), bytes(std::to_string(slot)));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Stores, StoreContract,
    testing::Values(std::pair("Memory", Maker([] { return std::make_unique<InMemory>(); })),
                    std::pair("RocksDb", Maker([] { return std::make_unique<OnDisk>(); }))),
    [](const auto& instance) { return instance.param.first; });

Result<void> write_one(Store& store) {
  const auto value = bytes("v");
  SlotChange change{.slot = 1,
                    .rows = {{.key = "k", .value = Bytes(value)}},
                    .fold = {StreamId{7}, Offset{1}, 0}};
  return store.write("t", std::span(&change, 1));
}

TEST(RocksStore, NothingIsOnDiskBeforeTheFirstWrite) {
  OnDisk disk;
  ASSERT_TRUE(disk.store().kept("t", 0));
  ASSERT_TRUE(disk.store().flush());
  EXPECT_FALSE(fs::exists(disk.directory()));
  ASSERT_TRUE(write_one(disk.store()));
  EXPECT_TRUE(fs::exists(disk.directory()));
}

// The files of a directory with `part` in their names.
std::vector<fs::path> files(const fs::path& directory, std::string_view part) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.path().filename().string().contains(part)) found.push_back(entry.path());
  }
  return found;
}

class DamagedStore : public testing::TestWithParam<std::string> {};

TEST_P(DamagedStore, IsMadeAnewWhenItIsOpened) {
  OnDisk disk;
  ASSERT_TRUE(write_one(disk.store()));
  ASSERT_TRUE(disk.store().flush());
  disk.close();
  const auto damaged = files(disk.directory(), GetParam());
  ASSERT_FALSE(damaged.empty());
  for (const auto& file : damaged) {
    const auto size = fs::file_size(file);
    std::ofstream(file, std::ios::binary) << std::string(size, 'x');
  }
  disk.open();
  const auto kept = disk.store().kept("t", 1);
  ASSERT_TRUE(kept) << kept.error().text;
  EXPECT_FALSE(kept->fold);
  ASSERT_TRUE(write_one(disk.store()));
  EXPECT_EQ(**disk.store().get("t", 1, "k"), bytes("v"));
}

INSTANTIATE_TEST_SUITE_P(Files, DamagedStore, testing::Values("MANIFEST", "CURRENT", ".sst"),
                         [](const auto& instance) {
                           return instance.param == ".sst" ? "Rows" : instance.param;
                         });

TEST(RocksStore, DamageFoundInTheMiddleIsToldAndTheNextStartBeginsAnew) {
  OnDisk disk;
  const auto value = bytes(std::string(1000, 'v'));
  std::vector<std::string> keys;
  for (int i = 0; i < 1000; ++i) keys.push_back(fmt::format("{:04}", i));
  SlotChange change{.slot = 1, .rows = {}, .fold = {StreamId{7}, Offset{1}, 0}};
  for (const auto& key : keys) change.rows.push_back({.key = key, .value = Bytes(value)});
  ASSERT_TRUE(disk.store().write("t", std::span(&change, 1)));
  ASSERT_TRUE(disk.store().flush());
  disk.close();
  for (const auto& path : files(disk.directory(), ".sst")) {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(fs::file_size(path) / 3));
    file << std::string(8000, 'x');
  }
  disk.open();
  ASSERT_TRUE(disk.store().kept("t", 1)->fold) << "where it begins it is whole";
  Range range{.from = {}, .until = {}, .rows_max = 10'000, .bytes_max = 10 << 20};
  const auto scanned = disk.store().scan("t", 1, range);
  ASSERT_FALSE(scanned);
  EXPECT_EQ(scanned.error().code, Errc::corrupt);
  disk.close();
  disk.open();
  const auto kept = disk.store().kept("t", 1);
  ASSERT_TRUE(kept);
  EXPECT_FALSE(kept->fold);
  EXPECT_TRUE(kept->empty);
}

}  // namespace
}  // namespace sluice::table
