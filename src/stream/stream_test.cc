#include "stream/stream.h"

#include <gtest/gtest.h>

namespace sluice::stream {
namespace {

TEST(StreamName, IsWhatKafkaAllows) {
  EXPECT_TRUE(validate_stream_name("sensors"));
  EXPECT_TRUE(validate_stream_name("Stream.Name_1-x"));
  EXPECT_TRUE(validate_stream_name("..."));
  EXPECT_TRUE(validate_stream_name(std::string(249, 'a')));

  for (const std::string bad : {"", ".", "..", "a/b", "a b", "caf\xc3\xa9"}) {
    const auto result = validate_stream_name(bad);
    ASSERT_FALSE(result) << bad;
    EXPECT_EQ(result.error().code, Errc::invalid);
  }
  EXPECT_FALSE(validate_stream_name(std::string(250, 'a')));
}

TEST(Catalogue, FindsAStreamByNameAndIdUntilItIsRemoved) {
  Catalogue catalogue;
  catalogue.add({"sensors", StreamId{7}, {}});
  ASSERT_NE(catalogue.find("sensors"), nullptr);
  EXPECT_EQ(catalogue.find(StreamId{7}), catalogue.find("sensors"));

  const auto before = catalogue.generation();
  catalogue.remove("sensors");
  EXPECT_EQ(catalogue.find("sensors"), nullptr);
  EXPECT_EQ(catalogue.find(StreamId{7}), nullptr);
  EXPECT_GT(catalogue.generation(), before);
}

}  // namespace
}  // namespace sluice::stream
