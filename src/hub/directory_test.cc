// Take-over: the newest connection gets a client id when all older ones are done with it.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hub/hub.h"
#include "hub/sim_hub_test.h"

namespace sluice::hub {
namespace {

// Sessions that claim one client id from several shards, and take their time to leave.
class Claims {
 public:
  explicit Claims(std::uint64_t seed) : sim(seed, 3) {}

  void claim(std::uint64_t session, std::uint32_t shard) {
    shard_of[session] = shard;
    sim.hubs[shard]->claim(
        "dev1", session, Claim::resume,
        [this](std::uint64_t older, Claim, Task done) { leaving.emplace(older, std::move(done)); },
        [this, session](const Result<void>& result) {
          if (result)
            granted.push_back(session);
          else
            refused.push_back(session);
        });
  }
  void let_go(std::uint64_t session) {
    Task done = std::move(leaving.at(session));
    leaving.erase(session);
    sim.world.loop(shard_of.at(session)).post([done = std::move(done)]() mutable { done(); });
  }
  void release(std::uint64_t session) { sim.hubs[shard_of.at(session)]->release("dev1", session); }

  SimHub sim;
  std::map<std::uint64_t, std::uint32_t> shard_of;
  std::map<std::uint64_t, Task> leaving;  // told that another one has come, and not done
  std::vector<std::uint64_t> granted, refused;
};

using Sessions = std::vector<std::uint64_t>;

TEST(Directory, ANewerHolderWaitsUntilTheOlderOneIsDone) {
  Claims claims(1);
  claims.claim(10, 0);
  claims.sim.world.run_until_idle();
  ASSERT_EQ(claims.granted, Sessions{10});
  claims.claim(11, 1);
  claims.sim.world.run_until_idle();
  ASSERT_TRUE(claims.leaving.contains(10));
  EXPECT_EQ(claims.granted, Sessions{10}) << "10 still has something to save";
  claims.let_go(10);
  claims.sim.world.run_until_idle();
  EXPECT_EQ(claims.granted, (Sessions{10, 11}));
}

TEST(Directory, TheNewestOfSeveralWaitsForAllOlderOnes) {
  Claims claims(2);
  claims.claim(10, 0);
  claims.sim.world.run_until_idle();
  claims.claim(11, 1);
  claims.claim(12, 2);
  claims.sim.world.run_until_idle();
  const std::uint64_t newest = claims.leaving.contains(11) ? 12 : 11;
  const std::uint64_t between = newest == 12 ? 11 : 12;
  claims.let_go(between);
  claims.sim.world.run_until_idle();
  EXPECT_EQ(claims.granted, Sessions{10}) << "10 is not done";
  claims.let_go(10);
  claims.sim.world.run_until_idle();
  EXPECT_EQ(claims.granted, (Sessions{10, newest}));
  EXPECT_EQ(claims.refused, Sessions{between}) << "it was evicted before its turn came";
}

TEST(Directory, WhoComesAfterOneThatGaveUpStillWaitsForTheOneBefore) {
  Claims claims(3);
  claims.claim(10, 0);
  claims.sim.world.run_until_idle();
  claims.claim(11, 1);
  claims.sim.world.run_until_idle();
  claims.release(11);
  claims.sim.world.run_until_idle();
  claims.claim(12, 2);
  claims.sim.world.run_until_idle();
  EXPECT_EQ(claims.granted, Sessions{10}) << "10 is not done";
  claims.let_go(10);
  claims.sim.world.run_until_idle();
  EXPECT_EQ(claims.granted, (Sessions{10, 12}));
  EXPECT_EQ(claims.refused, Sessions{11});
}

// By seed: claims, releases and slow leaving in any order. The law: who is granted the id is the
// only one that has it; all that had it before have said that they are done, or released it.
class Story {
 public:
  explicit Story(std::uint64_t seed) : claims_(seed), random_(claims_.sim.world.random()) {}

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      step();
      claims_.sim.world.run_for(std::chrono::microseconds(random_.below(50)));
      note_grants();
    }
    finish();
  }

 private:
  void step() {
    if (random_.one_in(4))
      return claims_.claim(++last_, static_cast<std::uint32_t>(random_.below(3)));
    if (!claims_.leaving.empty() && random_.one_in(2)) return let_one_go();
    if (!has_ || claims_.leaving.contains(*has_) || !random_.one_in(8)) return;
    claims_.release(*has_);
    has_.reset();
  }
  void let_one_go() {
    const std::uint64_t session = claims_.leaving.begin()->first;
    claims_.let_go(session);
    if (has_ == session) has_.reset();
  }
  void note_grants() {
    for (; seen_ < claims_.granted.size(); ++seen_) {
      EXPECT_FALSE(has_) << *has_ << " has it, and " << claims_.granted[seen_] << " gets it";
      has_ = claims_.granted[seen_];
    }
  }
  void finish() {
    claims_.sim.world.run_until_idle();
    while (!claims_.leaving.empty()) {
      let_one_go();
      claims_.sim.world.run_until_idle();
      note_grants();
    }
    EXPECT_EQ(claims_.granted.size() + claims_.refused.size(), last_) << "all are answered";
  }

  Claims claims_;
  Random& random_;
  std::uint64_t last_ = 0;
  std::optional<std::uint64_t> has_;
  std::size_t seen_ = 0;
};

TEST(Directory, NobodyIsGrantedAnIdThatSomebodyElseStillHas) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    Story(seed).run(200);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace sluice::hub
