#include "mqtt/shared_packets.h"

#include <gtest/gtest.h>

#include "log/record_batch.h"

namespace sluice::mqtt {
namespace {

using State = SharedPackets::State;

class SharedPacketsTest : public testing::Test {
 protected:
  static log::BlockRef block_of(std::uint32_t count) {
    log::BatchBuilder builder;
    for (std::uint32_t i = 0; i < count; ++i)
      builder.add(0, {.key = as_bytes("t"), .value = {}, .headers = {}, .headers_count = 0});
    return builder.finish();
  }
  State find(const hub::Delivery& delivery, Version version = Version::v5, WallMs now = 1) {
    return shared_.find({.prefix = "", .block = block_, .deliveries = {&delivery, 1}}, 0, version,
                        now);
  }
  void make(std::initializer_list<std::string_view> packets) {
    Buffer& out = shared_.begin();
    for (const std::string_view packet : packets) {
      append(out, as_bytes(packet));
      shared_.end_packet();
    }
    shared_.finish(true);
  }
  std::string copy(std::size_t done, std::size_t out_max, std::string_view before = "") {
    Buffer out;
    append(out, as_bytes(before));
    copied_ = shared_.copy(done, out_max, out);
    return std::string(as_text(out));
  }

  SharedPackets shared_;
  log::BlockRef block_ = block_of(3);
  hub::Grant grant_, other_grant_;
  std::size_t copied_ = 0;
};

TEST_F(SharedPacketsTest, AreWantedBySecondAndReadyForThird) {
  EXPECT_EQ(find({0, 3, &grant_}), State::unknown);
  EXPECT_EQ(find({0, 3, &other_grant_}), State::wanted) << "equal grants, another subscriber's";
  make({"a", "b", "c"});
  EXPECT_EQ(find({0, 3, &grant_}), State::ready);
}

TEST_F(SharedPacketsTest, AreNotWantedByOneWhoGoesOn) {
  const hub::Delivery delivery{0, 3, &grant_};
  EXPECT_EQ(find(delivery), State::unknown);
  EXPECT_EQ(shared_.find({.prefix = "", .block = block_, .deliveries = {&delivery, 1}}, 1,
                         Version::v5, 1),
            State::unknown);
  EXPECT_EQ(find(delivery), State::wanted);
}

TEST_F(SharedPacketsTest, AreNotThoseOfOtherDeliveries) {
  const auto ready = [&] {
    find({0, 3, &grant_});
    find({0, 3, &grant_});
    make({"a", "b", "c"});
    return find({0, 3, &grant_});
  };
  ASSERT_EQ(ready(), State::ready);
  EXPECT_EQ(find({0, 2, &grant_}), State::unknown);
  ASSERT_EQ(ready(), State::ready);
  EXPECT_EQ(find({0, 3, &grant_}, Version::v3_1_1), State::unknown);
  ASSERT_EQ(ready(), State::ready);
  EXPECT_EQ(find({0, 3, &grant_}, Version::v5, 2), State::unknown) << "less time to live";
  ASSERT_EQ(ready(), State::ready);
  other_grant_.retain_as_published = true;
  EXPECT_EQ(find({0, 3, &other_grant_}), State::unknown);
  ASSERT_EQ(ready(), State::ready);
  block_ = block_of(3);
  EXPECT_EQ(find({0, 3, &grant_}), State::unknown);
}

TEST_F(SharedPacketsTest, StopBehindThePacketThatPassesTheLimit) {
  make({"aa", "bb", "cc"});
  EXPECT_EQ(copy(0, 100), "aabbcc");
  EXPECT_EQ(copied_, 3u);
  EXPECT_EQ(copy(0, 3), "aabb");
  EXPECT_EQ(copied_, 2u);
  EXPECT_EQ(copy(2, 3), "cc");
  EXPECT_EQ(copied_, 1u);
  EXPECT_EQ(copy(1, 5, "....."), ".....");
  EXPECT_EQ(copied_, 0u);
  EXPECT_EQ(copy(3, 100), "");
}

}  // namespace
}  // namespace sluice::mqtt
