#include "cli/users_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "sim/temp_dir.h"

namespace sluice::cli {
namespace {

class UsersFileTest : public testing::Test {
 protected:
  Result<void> put(const std::string& name) const {
    return edit_users(path_, [&](access::UserTable& table) -> Result<void> {
      table.put({.name = name});
      return {};
    });
  }
  mode_t mode() const {
    struct stat found{};
    ::stat(path_.c_str(), &found);
    return found.st_mode & 0777u;
  }

  sim::TempDir directory_;
  std::string path_ = directory_.file("below/users.toml");
};

TEST_F(UsersFileTest, AMissingFileHasNobodyAndIsMadeForItsOwnerAlone) {
  EXPECT_TRUE(read_users(path_)->empty());
  ASSERT_TRUE(put("ann"));
  EXPECT_NE(read_users(path_)->find("ann"), nullptr);
  EXPECT_EQ(mode(), 0600u);
  EXPECT_FALSE(std::filesystem::exists(path_ + ".new"));
}

TEST_F(UsersFileTest, TheModeThatSomebodyGaveIsKept) {
  ASSERT_TRUE(put("ann"));
  ::chmod(path_.c_str(), 0640);
  ASSERT_TRUE(put("bob"));
  EXPECT_EQ(mode(), 0640u);
  EXPECT_EQ(read_users(path_)->all().size(), 2u);
}

TEST_F(UsersFileTest, ABrokenFileIsNotOverwritten) {
  ASSERT_TRUE(put("ann"));
  std::ofstream(path_) << "[users.bob]\nrules = [\"allow nothing\"]\n";
  const auto done = put("ann");
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().text.find("users.toml:2"), std::string::npos) << done.error().text;
  EXPECT_FALSE(read_users(path_));
}

TEST_F(UsersFileTest, NoneOfTwoEditsAtOnceIsLost) {
  ASSERT_TRUE(put("ann"));
  std::vector<std::thread> editors;
  for (int i = 0; i < 8; ++i)
    editors.emplace_back([this, i] { EXPECT_TRUE(put("user" + std::to_string(i))); });
  for (auto& editor : editors) editor.join();
  EXPECT_EQ(read_users(path_)->all().size(), 9u);
}

}  // namespace
}  // namespace sluice::cli
