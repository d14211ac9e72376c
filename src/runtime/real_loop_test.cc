#include "runtime/real_loop.h"

#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <future>
#include <thread>
#include <vector>

#include "runtime/shard.h"

namespace sluice::runtime {
namespace {

TEST(RealLoop, NoTaskFromOutsideIsLostWhetherTheLoopSleepsOrNot) {
  constexpr int kThreads = 3;
  constexpr int kTasks = 3000;
  const auto loop = RealLoop::create();
  int run = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < kTasks; ++k) {
        loop->post_from_outside([&] {
          if (++run == kThreads * kTasks) loop->stop();
        });
        std::this_thread::yield();
      }
    });
  }
  loop->run();
  EXPECT_EQ(run, kThreads * kTasks);
}

TEST(RealLoop, AnEndpointInUseIsRefusedByName) {
  struct Handler final : AcceptHandler {
    void on_accept(Socket) override {}
  } handler;
  const auto loop = RealLoop::create();
  const auto bad = loop->listen({"203.0.113.1", 1883}, handler);
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().text.find("203.0.113.1:1883"), std::string::npos) << bad.error().text;
}

TEST(RealLoop, TheFirstTerminateSignalIsATaskOfTheLoop) {
  const auto loop = RealLoop::create();
  bool terminated = false;
  on_terminate_signal(*loop, [&] {
    terminated = true;
    loop->stop();
  });
  loop->post([] { std::raise(SIGTERM); });
  loop->run();
  EXPECT_TRUE(terminated);
}

TEST(Shards, EachLoopRunsOnAThreadOfItsOwnUntilStopped) {
  Shards shards(2);
  std::promise<std::thread::id> ids[2];
  for (std::size_t i = 0; i < 2; ++i)
    shards.loop(i).post([&, i] { ids[i].set_value(std::this_thread::get_id()); });
  shards.start();
  const auto first = ids[0].get_future().get();
  const auto second = ids[1].get_future().get();
  EXPECT_NE(first, second);
  EXPECT_NE(first, std::this_thread::get_id());
  shards.stop();
  shards.stop();
}

}  // namespace
}  // namespace sluice::runtime
