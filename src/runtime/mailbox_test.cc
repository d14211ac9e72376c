#include "runtime/mailbox.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <latch>

#include "runtime/ask.h"
#include "runtime/shard.h"
#include "sim/world.h"

namespace sluice::runtime {
namespace {

// Every shard asks every other one (and itself) `count` times, as fast as there is room, and sends
// as often. Checks that all arrive once and in order, and that all is answered.
class Traffic {
 public:
  Traffic(Mailboxes& mailboxes, int count, std::function<void()> on_shard_done)
      : mailboxes_(mailboxes),
        count_(count),
        on_shard_done_(std::move(on_shard_done)),
        shards_(mailboxes.shards()) {
    for (auto& shard : shards_) shard.peers.resize(mailboxes.shards());
  }

  // On shard `from`.
  void start(ShardId from) {
    for (std::uint32_t to = 0; to < shards_.size(); ++to) go_on(from, {to});
  }

 private:
  struct Peer {
    int sent = 0;
    int answered = 0;
    int received = 0;  // messages of this peer
  };
  struct Shard {
    std::vector<Peer> peers;
    std::size_t finished = 0;
  };

  Peer& peer(ShardId at, ShardId of) { return shards_[at.value].peers[of.value]; }

  void go_on(ShardId from, ShardId to) {
    auto& own = peer(from, to);
    while (own.sent < 2 * count_) {
      const int number = own.sent;
      Task task = number % 2 == 0 ? request(from, to, number) : message(from, to, number);
      const bool taken = number % 2 == 0 ? mailboxes_.try_request(from, to, task)
                                         : mailboxes_.try_send(from, to, task);
      if (!taken) {
        ASSERT_TRUE(task) << "untouched when there is no room";
        return mailboxes_.on_room(from, to, [this, from, to] { go_on(from, to); });
      }
      ++own.sent;
    }
  }

  Task message(ShardId from, ShardId to, int number) {
    return [this, from, to, number] { receive(to, from, number); };
  }

  Task request(ShardId from, ShardId to, int number) {
    return [this, from, to, number] {
      receive(to, from, number);
      mailboxes_.answer(to, from, [this, from, to] {
        ++peer(from, to).answered;
        check_finished(from, to);
      });
    };
  }

  void receive(ShardId at, ShardId from, int number) {
    EXPECT_EQ(peer(at, from).received++, number);
    check_finished(at, from);
  }

  void check_finished(ShardId at, ShardId with) {
    const auto& own = peer(at, with);
    if (own.answered == count_ && own.received == 2 * count_ &&
        ++shards_[at.value].finished == shards_.size()) {
      on_shard_done_();
    }
  }

  Mailboxes& mailboxes_;
  const int count_;
  std::function<void()> on_shard_done_;
  std::vector<Shard> shards_;  // each touched by its own shard only
};

TEST(Mailboxes, OnThreadsEverythingArrivesOnceAndInOrderThroughNarrowRings) {
  constexpr std::size_t shard_count = 3;
  Shards shards(shard_count);
  Mailboxes mailboxes(shards.loops(), 4);
  std::latch done(shard_count);
  Traffic traffic(mailboxes, 200, [&] { done.count_down(); });
  for (std::uint32_t i = 0; i < shard_count; ++i)
    shards.loop(i).post([&, i] { traffic.start({i}); });
  shards.start();
  done.wait();
  shards.stop();
}

TEST(Mailboxes, InSimulationEverythingArrivesOnceAndInOrder) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    sim::SimWorld world(seed, 3);
    Mailboxes mailboxes({&world.loop(0), &world.loop(1), &world.loop(2)}, 1 + seed % 5);
    std::size_t done = 0;
    Traffic traffic(mailboxes, 20, [&] { ++done; });
    for (std::uint32_t i = 0; i < 3; ++i) world.loop(i).post([&, i] { traffic.start({i}); });
    ASSERT_TRUE(world.run_until([&] { return done == 3; })) << "seed " << seed;
  }
}

class MailboxesOfTwo : public testing::Test {
 protected:
  bool request(Task task) { return mailboxes_.try_request({0}, {1}, task); }
  bool send(Task task) { return mailboxes_.try_send({0}, {1}, task); }

  sim::SimWorld world_{1, 2};
  Mailboxes mailboxes_{{&world_.loop(0), &world_.loop(1)}, 2};
};

TEST_F(MailboxesOfTwo, ARequestHoldsItsPlaceUntilItIsAnswered) {
  EXPECT_TRUE(request([] {}));
  EXPECT_TRUE(request([] {}));
  world_.run_until_idle();
  EXPECT_FALSE(request([] {})) << "both ran, but neither is answered";
  EXPECT_TRUE(send([] {})) << "sends need no place for an answer";
  bool room = false;
  mailboxes_.on_room({0}, {1}, [&] { room = true; });
  world_.run_until_idle();
  EXPECT_FALSE(room);
  mailboxes_.answer({1}, {0}, [] {});
  world_.run_until_idle();
  EXPECT_TRUE(room);
  EXPECT_TRUE(request([] {}));
}

TEST_F(MailboxesOfTwo, AnswersFitWhenTheRingIsFullOfSends) {
  int answers = 0;
  EXPECT_TRUE(request([] {}));
  EXPECT_TRUE(request([] {}));
  world_.run_until_idle();
  for (Task task = [] {}; mailboxes_.try_send({1}, {0}, task); task = [] {}) {
  }
  mailboxes_.answer({1}, {0}, [&] { ++answers; });
  mailboxes_.answer({1}, {0}, [&] { ++answers; });
  world_.run_until_idle();
  EXPECT_EQ(answers, 2);
}

TEST_F(MailboxesOfTwo, AMessageOfALateTurnHookIsDelivered) {
  struct Hook final : TurnHook {
    void on_turn_end() override {
      if (then) std::exchange(then, nullptr)();
    }
    Task then;
  } hook;
  world_.loop(0).add_turn_hook(hook, TurnPhase::send);
  bool delivered = false;
  hook.then = [&] { EXPECT_TRUE(send([&] { delivered = true; })); };
  world_.loop(0).post([] {});
  world_.run_until_idle();
  EXPECT_TRUE(delivered);
  world_.loop(0).remove_turn_hook(hook);
}

TEST(OrderedAsks, KeepTheirOrderWhileTheyWaitForRoom) {
  constexpr int count = 50;
  sim::SimWorld world(1, 2);
  Mailboxes mailboxes({&world.loop(0), &world.loop(1)}, 3);
  OrderedAsks asks(mailboxes, ShardId{0});
  std::vector<int> asked;
  int answered = 0;
  const auto ask = [&](int number) {
    asks.ask(
        ShardId{1},
        [&asked, number](Task reply) {
          asked.push_back(number);
          reply();
        },
        [&answered] { ++answered; });
  };
  // Some while others wait, so that one that came later might find room.
  for (int turn = 0; turn < count / 5; ++turn)
    world.loop(0).run_after(std::chrono::microseconds(10 * turn), [&ask, turn] {
      for (int i = 0; i < 5; ++i) ask(5 * turn + i);
    });
  ASSERT_TRUE(world.run_until([&] { return answered == count; }));
  EXPECT_EQ(asked.size(), static_cast<std::size_t>(count));
  EXPECT_TRUE(std::ranges::is_sorted(asked));
}

}  // namespace
}  // namespace sluice::runtime
