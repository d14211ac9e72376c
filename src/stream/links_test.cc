#include "stream/links.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "sim/world.h"

namespace sluice::stream {
namespace {

// One shard sends a few letters in each turn, more than the mailbox has places for.
class Sender {
 public:
  Sender(sim::SimWorld& world, Links& links, std::vector<int>& received)
      : world_(world), links_(links), received_(received) {}

  void go() {
    for (auto burst = world_.random().below(4); burst > 0; --burst) {
      links_.send({1}, [this, number = sent_++] { received_.push_back(number); });
    }
    if (sent_ < 200) world_.loop(0).post([this] { go(); });
  }
  [[nodiscard]] std::size_t sent() const { return static_cast<std::size_t>(sent_); }

 private:
  sim::SimWorld& world_;
  Links& links_;
  std::vector<int>& received_;
  int sent_ = 0;
};

TEST(Links, LettersKeepTheirOrderWhenTheMailboxIsFull) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    sim::SimWorld world(seed, 2);
    runtime::Mailboxes mailboxes({&world.loop(0), &world.loop(1)}, 2);
    Links links(mailboxes, {0});
    std::vector<int> received;
    Sender sender(world, links, received);
    world.loop(0).post([&] { sender.go(); });
    world.run_until_idle();
    EXPECT_EQ(received.size(), sender.sent());
    EXPECT_TRUE(std::ranges::is_sorted(received)) << "seed " << seed;
  }
}

}  // namespace
}  // namespace sluice::stream
