#include "hub/router.h"

#include <gtest/gtest.h>

#include "base/hash.h"

namespace sluice::hub {
namespace {

class RouterTest : public testing::Test {
 protected:
  RouterTest() {
    add("mqtt", 1, {});
    add("sensors", 2, {.partitions = 8, .wildcard = true});
    add("orders", 3, {});
    add("__catalogue", 4, {.internal = true});
  }
  void add(const std::string& name, std::uint64_t id, const stream::StreamConfig& config) {
    catalogue_.add({name, StreamId{id}, config});
  }
  bool covers(std::string_view filter, std::string_view stream) {
    return router_.covers(filter, *catalogue_.find(stream));
  }

  stream::Catalogue catalogue_;
  Router router_{catalogue_, "mqtt"};
};

TEST_F(RouterTest, AFirstLevelThatNamesAStreamGoesThereWithTheRestAsKey) {
  const auto route = router_.route("sensors/house/kitchen/sensor");
  ASSERT_TRUE(route);
  EXPECT_EQ(route->partition.stream, StreamId{2});
  EXPECT_EQ(route->key_at, 8u);
  EXPECT_EQ(route->partition.index, 7u)
      << "Kafka's murmur2 of house/kitchen/sensor over 8 partitions";
  EXPECT_EQ(route->key_hash, static_cast<std::uint32_t>(hash64(as_bytes("house/kitchen/sensor"))));
}

TEST_F(RouterTest, EverythingElseIsPlain) {
  for (const char* topic :
       {"a/b", "/sensors/x", "sensors", "mqtt/x", "__catalogue/x", "Sensors/x", "/"}) {
    const auto route = router_.route(topic);
    ASSERT_TRUE(route) << topic;
    EXPECT_EQ(route->partition, (Partition{StreamId{1}, 0})) << topic;
    EXPECT_EQ(route->key_at, 0u) << topic;
  }
}

TEST_F(RouterTest, AnEmptyKeyIsAKey) {
  const auto route = router_.route("sensors/");
  ASSERT_TRUE(route);
  EXPECT_EQ(route->partition.stream, StreamId{2});
  EXPECT_EQ(route->key_at, 8u);
}

TEST_F(RouterTest, WhatIsNoTopicIsRefused) {
  EXPECT_EQ(router_.route("a/+").error().code, Errc::invalid);
  EXPECT_EQ(router_.route("").error().code, Errc::invalid);
}

TEST_F(RouterTest, AStreamMadeOrDeletedLaterMovesItsTopics) {
  ASSERT_EQ(router_.route("late/x")->partition.stream, StreamId{1});
  add("late", 9, {});
  EXPECT_EQ(router_.route("late/x")->partition.stream, StreamId{9});
  catalogue_.remove("late");
  EXPECT_EQ(router_.route("late/x")->partition.stream, StreamId{1});
}

TEST_F(RouterTest, ALiteralFirstLevelCoversItsStreamAndTheDefaultOne) {
  EXPECT_TRUE(covers("sensors/#", "sensors"));
  EXPECT_TRUE(covers("sensors/#", "mqtt")) << "what came before the stream was made lies there";
  EXPECT_FALSE(covers("sensors/#", "orders"));
  EXPECT_FALSE(covers("sensors", "sensors")) << "the bare name is plain";
  EXPECT_TRUE(covers("orders/+", "orders"));
}

TEST_F(RouterTest, AWildcardFirstCoversOnlyStreamsThatAskForIt) {
  for (const char* filter : {"#", "+/x", "+"}) {
    EXPECT_TRUE(covers(filter, "mqtt")) << filter;
    EXPECT_TRUE(covers(filter, "sensors")) << filter;
    EXPECT_FALSE(covers(filter, "orders")) << filter;
    EXPECT_FALSE(covers(filter, "__catalogue")) << filter;
  }
  EXPECT_FALSE(covers("__catalogue/#", "__catalogue"));
}

}  // namespace
}  // namespace sluice::hub
