#include "base/memory_pool.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>

namespace sluice {
namespace {

const std::byte* address(const std::shared_ptr<AlignedMemory>& piece) {
  return piece->bytes().data();
}

TEST(MemoryPool, APieceThatCameBackIsUsedAgain) {
  const auto pool = MemoryPool::create(direct_block, 2);
  auto first = pool->take();
  const auto second = pool->take();
  const auto* const known = address(first);
  EXPECT_NE(known, address(second));
  first.reset();
  EXPECT_EQ(address(pool->take()), known);
}

TEST(MemoryPool, MoreThanIsKeptExistsOnlyWhileItIsUsed) {
  const auto pool = MemoryPool::create(direct_block, 2);
  std::vector<std::shared_ptr<AlignedMemory>> held;
  for (int i = 0; i < 5; ++i) held.push_back(pool->take());
  // Three are too many: the first that come back.
  const std::set kept{address(held[3]), address(held[4])};
  for (auto& piece : held) piece.reset();
  const auto one = pool->take();
  const auto two = pool->take();
  EXPECT_EQ((std::set{address(one), address(two)}), kept);
}

TEST(MemoryPool, APieceMayComeBackFromAnotherThreadAfterThePoolWasLetGo) {
  auto pool = MemoryPool::create(direct_block, 2);
  std::thread holder([piece = pool->take()] { piece->bytes()[0] = std::byte{1}; });
  pool.reset();
  holder.join();
}

}  // namespace
}  // namespace sluice
