// Delayed messages on a machine that loses power, by seed. Two laws:
// - each message that was acknowledged is published, however often power is lost in between;
// - none is published before it is due.

#include <gtest/gtest.h>

#include <map>

#include "base/random.h"
#include "delayed/rig_test.h"

namespace sluice::delayed {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

class Lives {
 public:
  explicit Lives(std::uint64_t seed) : random_(seed), rig_(seed, shards()) {}

  void live() {
    for (int life = 0; life < 4; ++life) {
      for (int i = 0; i < 40; ++i) act();
      check_published();
      if (random_.one_in(3))
        rig_.stop();
      else
        rig_.crash();
      rig_.start(shards());
      if (testing::Test::HasFailure()) return;
    }
    rig_.run_for(seconds(30));
    check_published();
    for (const auto& [payload, sent] : sent_)
      EXPECT_TRUE(sent.published || !sent.acknowledged) << payload << " is lost";
    EXPECT_TRUE(rig_.waits(0)) << rig_.metrics();
  }

  int acknowledged = 0;

 private:
  struct Sent {
    WallMs due = 0;
    bool acknowledged = false;
    bool published = false;
  };

  std::uint32_t shards() { return 1 + static_cast<std::uint32_t>(random_.below(3)); }

  void act() {
    if (random_.one_in(3)) return rig_.run_for(microseconds(random_.below(2'000'000)));
    const auto shard = static_cast<std::uint32_t>(random_.below(rig_.parts.size()));
    const auto delay_s = static_cast<std::uint32_t>(random_.below(6));
    const std::string payload = std::to_string(sent_.size());
    Sent& sent = sent_[payload];
    sent.due = rig_.sim->world.loop(shard).wall_ms() + WallMs{delay_s} * 1000;
    const auto taken = rig_.publish(
        {.topic = "a", .payload = as_bytes(payload), .qos = 1}, delay_s,
        [this, &sent](const Result<void>& kept) {
          EXPECT_TRUE(kept);
          sent.acknowledged = true;
          ++acknowledged;
        },
        shard);
    EXPECT_TRUE(taken || taken.error().code == Errc::busy) << taken.error().text;
    if (random_.one_in(4)) rig_.run_for(microseconds(random_.below(3'000)));
  }

  // What is in the log so far, with the times at which it got there.
  void check_published() {
    hub::SimHub& sim = *rig_.sim;
    const StreamId mqtt = sim.stream().catalogue().find("mqtt")->id;
    Offset next{0};
    for (bool more = true; more;) {
      std::optional<Result<stream::ReadAnswer>> answer;
      sim.stream().read({mqtt, 0}, next, 1 << 20, stream::Want::records,
                        [&](Result<stream::ReadAnswer> read) { answer = std::move(read); });
      ASSERT_TRUE(sim.world.run_until([&] { return answer.has_value(); }));
      ASSERT_TRUE(*answer);
      for (const auto& block : (*answer)->blocks) check(*block);
      more = (*answer)->next > next;
      next = (*answer)->next;
    }
  }
  void check(const log::Block& block) {
    for (const log::Record& record : block.records()) {
      const std::string payload(as_text(block.value(record)));
      Sent& sent = sent_.at(payload);
      sent.published = true;
      EXPECT_GE(block.timestamp(record), sent.due) << payload << " is early";
    }
  }

  Random random_;
  Rig rig_;
  std::map<std::string, Sent> sent_;
};

class DelayedBySeed : public testing::TestWithParam<std::uint64_t> {};

TEST_P(DelayedBySeed, LosesNothingThatWasAcknowledgedAndIsNeverEarly) {
  Lives lives(GetParam());
  lives.live();
  EXPECT_GT(lives.acknowledged, 10);
}

INSTANTIATE_TEST_SUITE_P(Seeds, DelayedBySeed, testing::Range(std::uint64_t{0}, std::uint64_t{40}));

}  // namespace
}  // namespace sluice::delayed
