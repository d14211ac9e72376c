#include "server/reloader.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "base/logger.h"
#include "sim/temp_dir.h"
#include "sim/world.h"

namespace sluice::server {
namespace {

using std::chrono::seconds;

class ReloaderTest : public testing::Test {
 protected:
  ReloaderTest() {
    write("first");
    reloader_.emplace(world_.loop(0));
    reloader_->add({.name = "thing",
                    .files = [this] { return std::vector{path_}; },
                    .load = [this]() -> Result<Task> {
                      ++loads_;
                      std::ifstream file(path_);
                      std::string content(std::istreambuf_iterator<char>(file), {});
                      if (content == "bad") return fail(Errc::malformed, "it is bad");
                      return [this, content] { in_use_ = content; };
                    }});
    reloader_->start();
  }
  void write(const std::string& text) { std::ofstream(path_) << text; }

  sim::TempDir directory_;
  std::string path_ = directory_.file("thing");
  sim::SimWorld world_{1, 1};
  std::optional<Reloader> reloader_;
  int loads_ = 0;
  std::string in_use_ = "first";
};

TEST_F(ReloaderTest, WhatDoesNotChangeIsNotLoadedAgain) {
  world_.run_for(seconds(60));
  EXPECT_EQ(loads_, 0);
}

TEST_F(ReloaderTest, AChangedFileIsLoadedOnceItIsSteady) {
  world_.run_for(seconds(5));
  write("being wri");
  world_.run_for(Reloader::interval);
  write("being written");
  world_.run_for(Reloader::interval);
  EXPECT_EQ(loads_, 0);
  world_.run_for(3 * Reloader::interval);
  EXPECT_EQ(loads_, 1);
  EXPECT_EQ(in_use_, "being written");
}

TEST_F(ReloaderTest, WhatCannotBeLoadedIsTriedAgainOnlyWhenItChanges) {
  Logger::set_level(LogLevel::off);
  write("bad");
  world_.run_for(seconds(60));
  EXPECT_EQ(loads_, 1);
  EXPECT_EQ(in_use_, "first");
  write("better");
  world_.run_for(seconds(10));
  EXPECT_EQ(in_use_, "better");
  Logger::set_level(LogLevel::info);
}

TEST_F(ReloaderTest, AFileThatGoesAndComesBackIsLoaded) {
  std::filesystem::remove(path_);
  world_.run_for(seconds(10));
  write("back");
  world_.run_for(seconds(10));
  EXPECT_EQ(in_use_, "back");
}

TEST_F(ReloaderTest, WhoAsksIsServedAtOnce) {
  reloader_->reload_all();
  world_.run_for(seconds(1));
  EXPECT_EQ(loads_, 1);
}

}  // namespace
}  // namespace sluice::server
