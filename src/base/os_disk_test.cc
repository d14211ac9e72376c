#include <gtest/gtest.h>

#include <filesystem>
#include <string>

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
