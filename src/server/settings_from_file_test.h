#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <string_view>

#include "server/settings.h"
#include "sim/temp_dir.h"

namespace sluice::server {

// Settings of a file that the test writes.
class SettingsFromFile : public testing::Test {
 protected:
  void write_file(std::string_view content) {
    std::ofstream(path_) << content;
    sources_.file = path_;
  }
  std::string error() const {
    const auto settings = load_settings(sources_);
    return settings ? "" : settings.error().text;
  }

  Sources sources_;
  sim::TempDir directory_;
  std::string path_ = directory_.file("sluice.toml");
};

}  // namespace sluice::server
