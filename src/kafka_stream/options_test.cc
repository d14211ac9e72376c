#include "kafka_stream/options.h"

#include <gtest/gtest.h>

#include <fstream>

#include "sim/temp_dir.h"

namespace sluice::kafka_stream {
namespace {

class PropertiesFile : public testing::Test {
 protected:
  Result<std::vector<std::pair<std::string, std::string>>> read(const std::string& content) {
    const std::string path = directory_.file("properties");
    std::ofstream(path) << content;
    return read_properties_file(path);
  }

 private:
  sim::TempDir directory_;
};

TEST_F(PropertiesFile, HoldsANameAndAValuePerLine) {
  const auto properties =
      read("# of the cluster\n\nsasl.mechanism = PLAIN\r\nsasl.password=a=b #c\n");
  ASSERT_TRUE(properties);
  EXPECT_EQ(*properties, (std::vector<std::pair<std::string, std::string>>{
                             {"sasl.mechanism", "PLAIN"}, {"sasl.password", "a=b #c"}}));
}

TEST_F(PropertiesFile, ErrorsNameTheLine) {
  const auto properties = read("a=b\nsasl.mechanism PLAIN\n");
  ASSERT_FALSE(properties);
  EXPECT_NE(properties.error().text.find("line 2"), std::string::npos) << properties.error().text;
}

TEST_F(PropertiesFile, AMissingFileIsNamed) {
  const auto properties = read_properties_file("/nowhere/properties");
  ASSERT_FALSE(properties);
  EXPECT_EQ(properties.error().code, Errc::not_found);
}

}  // namespace
}  // namespace sluice::kafka_stream
