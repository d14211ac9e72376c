#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "base/aligned_memory.h"
#include "base/disk.h"
#include "sim/temp_dir.h"

namespace sluice {
namespace {

class OsDiskTest : public ::testing::Test {
 protected:
  std::unique_ptr<File> open(const std::string& path, OpenMode mode) {
    return disk_->open(path, mode).value();
  }
  std::string text_of(const std::string& path) {
    const Buffer content = read_file(*disk_, path, 1 << 20).value();
    return std::string(as_text(content));
  }
  void write_text(const std::string& path, std::string_view text) {
    const Bytes piece = as_bytes(text);
    ASSERT_TRUE(open(path, OpenMode::write)->write_at(0, {&piece, 1}));
  }

  sim::TempDir directory_;
  std::string root_ = directory_.path().string();
  std::unique_ptr<Disk> disk_ = open_os_disk(root_).value();
};

TEST_F(OsDiskTest, WritesMorePiecesThanOneSystemCallTakes) {
  std::string expected = "head";
  write_text("f", expected);
  std::vector<std::string> texts;
  for (int i = 0; i < 3000; ++i) texts.push_back(i % 3 == 0 ? "" : std::to_string(i));
  std::vector<Bytes> pieces;
  for (const auto& text : texts) {
    pieces.push_back(as_bytes(text));
    expected += text;
  }
  auto file = open("f", OpenMode::write);
  ASSERT_TRUE(file->write_at(4, pieces));
  ASSERT_TRUE(file->sync());
  EXPECT_EQ(file->size().value(), expected.size());
  EXPECT_EQ(text_of("f"), expected);
}

TEST_F(OsDiskTest, ReadsLessOnlyAtTheEndOfAFile) {
  write_text("f", "abcdef");
  auto file = open("f", OpenMode::read);
  std::array<std::byte, 4> out;
  EXPECT_EQ(file->read_at(1, out).value(), 4u);
  EXPECT_EQ(as_text(out), "bcde");
  EXPECT_EQ(file->read_at(4, out).value(), 2u);
  EXPECT_EQ(file->read_at(99, out).value(), 0u);
}

TEST_F(OsDiskTest, OpensAsTheModeSays) {
  EXPECT_EQ(disk_->open("f", OpenMode::read).error().code, Errc::not_found);
  write_text("f", "abc");
  EXPECT_EQ(open("f", OpenMode::write)->size().value(), 3u);
  EXPECT_EQ(open("f", OpenMode::write_new)->size().value(), 0u);
}

TEST_F(OsDiskTest, CutsAndGrowsAFileWithZeroes) {
  write_text("f", "abc");
  auto file = open("f", OpenMode::write);
  ASSERT_TRUE(file->truncate(1));
  ASSERT_TRUE(file->truncate(3));
  EXPECT_EQ(text_of("f"), std::string("a\0\0", 3));
}

TEST_F(OsDiskTest, WhereThereIsNoDirectIoFilesAreReadWithout) {
  const auto processes = open_os_disk("/proc/self").value();
  const auto file = processes->open("status", OpenMode::read_direct).value();
  const AlignedMemory memory(direct_block);
  EXPECT_GT(file->read_at(0, memory.bytes()).value(), 0u);
}

// What is written to a direct file, and what the file then holds.
class DirectFileTest : public OsDiskTest {
 protected:
  void write(std::size_t count) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i)
      text += static_cast<char>('a' + (written_.size() + i) % 23);
    const std::array pieces{as_bytes(text).first(count / 3), as_bytes(text).subspan(count / 3)};
    ASSERT_TRUE(file_->write_at(written_.size(), pieces));
    written_ += text;
  }
  // As another reader of the file sees it, but for the zeros that fill its last block.
  std::string content() {
    const Buffer bytes = read_file(*disk_, "f", 64 << 20).value();
    EXPECT_LT(bytes.size() - written_.size(), 4096u);
    for (const auto byte : Bytes(bytes).subspan(written_.size())) EXPECT_EQ(byte, std::byte{0});
    return std::string(as_text(Bytes(bytes).first(written_.size())));
  }

  std::unique_ptr<File> file_ = open("f", OpenMode::write_direct);
  std::string written_;
};

TEST_F(DirectFileTest, PiecesOfAnySizeComeOutAsTheyWentIn) {
  for (const std::size_t count : {1u, 4095u, 1u, 10'000u, 4096u, 3'000'000u, 7u, 1'048'576u})
    write(count);
  EXPECT_EQ(file_->size().value(), written_.size());
  ASSERT_TRUE(file_->sync());
  EXPECT_EQ(content(), written_);
}

TEST_F(DirectFileTest, IsReadPastThePageCacheInWholeBlocks) {
  write(9000);
  ASSERT_TRUE(file_->truncate(9000));  // so that it ends within a block
  for (const std::size_t size : {std::size_t{16} << 10, std::size_t{2} << 20}) {
    const AlignedMemory memory(size);
    const auto reader = open("f", OpenMode::read_direct);
    EXPECT_EQ(reader->read_at(0, memory.bytes()).value(), 9000u);
    EXPECT_EQ(as_text(Bytes(memory.bytes()).first(9000)), written_);
    EXPECT_EQ(reader->read_at(8192, memory.bytes().first(direct_block)).value(), 808u);
    EXPECT_EQ(reader->read_at(12'288, memory.bytes()).value(), 0u);
  }
}

TEST_F(DirectFileTest, OnlyOthersSeeTheZerosBehindTheEnd) {
  write(5000);
  Buffer out(9000);
  EXPECT_EQ(file_->size().value(), 5000u);
  ASSERT_EQ(file_->read_at(0, out).value(), 5000u);
  EXPECT_EQ(as_text(Bytes(out).first(5000)), written_);
  EXPECT_EQ(content(), written_);
}

TEST_F(DirectFileTest, WritingGoesOnWhereAnEarlierObjectStopped) {
  write(5001);
  ASSERT_TRUE(file_->sync());
  file_ = open("f", OpenMode::write_direct);
  ASSERT_TRUE(file_->truncate(5001));
  write(9000);
  ASSERT_TRUE(file_->sync());
  EXPECT_EQ(content(), written_);
}

TEST_F(DirectFileTest, WhatIsCutIsWrittenAnew) {
  write(10'000);
  ASSERT_TRUE(file_->truncate(6001));
  written_.resize(6001);
  EXPECT_EQ(file_->size().value(), 6001u);
  write(3000);
  ASSERT_TRUE(file_->sync());
  EXPECT_EQ(content(), written_);
}

TEST_F(DirectFileTest, WhatIsLeftOutIsZero) {
  write(5000);
  const Bytes piece = as_bytes("later");
  ASSERT_TRUE(file_->write_at(20'000, {&piece, 1}));
  written_ += std::string(15'000, '\0') + "later";
  EXPECT_EQ(content(), written_);
}

TEST_F(OsDiskTest, NamesThePathAndTheFullDiskInErrors) {
  auto devices = open_os_disk("/dev").value();
  auto full = devices->open("full", OpenMode::write).value();
  const Bytes piece = as_bytes("x");
  const auto written = full->write_at(0, {&piece, 1});
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Errc::disk_full);
  EXPECT_EQ(written.error().text, "cannot write /dev/full: No space left on device");

  const auto missing = disk_->rename("no", "where");
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().text.find(root_ + "/no"), std::string::npos) << missing.error().text;
}

TEST_F(OsDiskTest, ListsNamesSortedAndAMissingDirectoryAsEmpty) {
  ASSERT_TRUE(disk_->make_dirs("d/e/f"));
  ASSERT_TRUE(disk_->make_dirs("d/e/f"));
  write_text("d/z", "");
  write_text("d/a", "");
  EXPECT_EQ(disk_->list("d").value(), (std::vector<std::string>{"a", "e", "z"}));
  EXPECT_EQ(disk_->list("none").value(), std::vector<std::string>{});
  EXPECT_EQ(disk_->list("").value(), std::vector<std::string>{"d"});
}

TEST_F(OsDiskTest, RemovesFilesAndTreesAndToleratesMissingOnes) {
  ASSERT_TRUE(disk_->make_dirs("d/e"));
  write_text("d/e/f", "x");
  ASSERT_TRUE(disk_->remove("d/e/f"));
  EXPECT_FALSE(disk_->exists("d/e/f").value());
  ASSERT_TRUE(disk_->remove("d/e/f"));
  EXPECT_FALSE(disk_->remove("d/e")) << "a directory is not removed as a file";
  ASSERT_TRUE(disk_->remove_all("d"));
  EXPECT_FALSE(disk_->exists("d").value());
  ASSERT_TRUE(disk_->remove_all("d"));
}

TEST_F(OsDiskTest, SyncsDirectoriesAndTheWholeFileSystem) {
  ASSERT_TRUE(disk_->make_dirs("d"));
  EXPECT_TRUE(disk_->sync_dir("d"));
  EXPECT_TRUE(disk_->sync_dir(""));
  EXPECT_EQ(disk_->sync_dir("none").error().code, Errc::not_found);
  EXPECT_TRUE(disk_->sync_all());
  EXPECT_GT(disk_->free_bytes().value(), 0u);
}

TEST_F(OsDiskTest, KeepsItsBootIdFromOneOpenToTheNext) {
  EXPECT_FALSE(disk_->boot_id().empty());
  if (!std::filesystem::exists("/proc/sys/kernel/random/boot_id")) GTEST_SKIP();
  EXPECT_EQ(open_os_disk(root_).value()->boot_id(), disk_->boot_id());
}

TEST_F(OsDiskTest, ReplacesAFileAndLeavesNoOtherBehind) {
  ASSERT_TRUE(disk_->make_dirs("d"));
  ASSERT_TRUE(replace_file(*disk_, "d/f", as_bytes("a longer text")));
  ASSERT_TRUE(replace_file(*disk_, "d/f", as_bytes("short")));
  EXPECT_EQ(text_of("d/f"), "short");
  EXPECT_EQ(disk_->list("d").value(), std::vector<std::string>{"f"});
  ASSERT_TRUE(replace_file(*disk_, "top", as_bytes("")));
  EXPECT_EQ(text_of("top"), "");
}

TEST_F(OsDiskTest, RefusesToReadAFileBeyondTheLimit) {
  write_text("f", "abc");
  EXPECT_EQ(as_text(read_file(*disk_, "f", 3).value()), "abc");
  EXPECT_EQ(read_file(*disk_, "f", 2).error().code, Errc::too_large);
}

TEST_F(OsDiskTest, LetsOnlyOneUserHoldTheDirectory) {
  {
    auto lock = DirectoryLock::take(root_ + "/data");
    ASSERT_TRUE(lock) << lock.error().text;
    const DirectoryLock moved = std::move(*lock);
    const auto second = DirectoryLock::take(root_ + "/data");
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::busy);
    EXPECT_EQ(second.error().text, "data directory " + root_ + "/data is in use by process " +
                                       std::to_string(::getpid()));
  }
  EXPECT_TRUE(DirectoryLock::take(root_ + "/data")) << "free again";
}

}  // namespace
}  // namespace sluice
