#include "server/cluster_id.h"

#include <gtest/gtest.h>

#include "sim/disk.h"

namespace sluice::server {
namespace {

TEST(ClusterId, IsMadeOnceAndKept) {
  sim::SimDisk disk(1);
  const auto first = cluster_id_of(disk);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->size(), 22u);
  EXPECT_EQ(cluster_id_of(disk), *first);
  sim::SimDisk other(2);
  EXPECT_NE(cluster_id_of(other), *first);
}

TEST(ClusterId, ADamagedOneIsRefusedByName) {
  sim::SimDisk disk(1);
  ASSERT_TRUE(replace_file(disk, "cluster_id", as_bytes("too short")));
  const auto id = cluster_id_of(disk);
  ASSERT_FALSE(id);
  EXPECT_NE(id.error().text.find("cluster_id"), std::string::npos);
}

}  // namespace
}  // namespace sluice::server
