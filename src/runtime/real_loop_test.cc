#include "runtime/real_loop.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <atomic>
#include <csignal>
#include <future>
#include <thread>
#include <vector>

#include "runtime/file_descriptor.h"
#include "runtime/shard.h"

namespace sluice::runtime {
namespace {

TEST(RealLoop, NoTaskFromOutsideIsLostWhetherTheLoopSleepsOrNot) {
  constexpr int thread_count = 3;
  constexpr int task_count = 500;
  const auto loop = RealLoop::create();
  int run = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < thread_count; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < task_count; ++k) {
        loop->post_from_outside([&] {
          if (++run == thread_count * task_count) loop->stop();
        });
        std::this_thread::yield();
      }
    });
  }
  loop->run();
  EXPECT_EQ(run, thread_count * task_count);
}

struct CountingAcceptor final : AcceptHandler {
  explicit CountingAcceptor(Loop& loop_in) : loop(loop_in) {}
  void on_accept(Socket socket) override {
    ++accepted;
    loop.close(socket);
  }
  Loop& loop;
  int accepted = 0;
};

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

TEST(RealLoop, LoopsOfOneProcessShareAnEndpointButNotWithAnotherProcess) {
  const auto first = RealLoop::create();
  const auto second = RealLoop::create();
  CountingAcceptor handler(*first);
  const auto shared = first->listen({"127.0.0.1", 0}, handler);
  ASSERT_TRUE(shared);
  EXPECT_TRUE(second->listen(*shared, handler));

  // What the loops have not opened counts as another process's.
  const FileDescriptor foreign(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ASSERT_EQ(::setsockopt(foreign.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), 0);
  auto address = loopback(0);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(foreign.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(foreign.get(), 1), 0);
  ASSERT_EQ(::getsockname(foreign.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  const Endpoint taken{"127.0.0.1", ntohs(address.sin_port)};
  const auto refused = first->listen(taken, handler);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text.find(to_string(taken)), std::string::npos) << refused.error().text;
}

FileDescriptor connect_to(const Endpoint& endpoint) {
  FileDescriptor client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  auto address = loopback(endpoint.port);
  EXPECT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  return client;
}

// Stops the loop when a connection has been accepted, or after far too many turns.
struct StopWhenAccepted final : TurnHook {
  StopWhenAccepted(RealLoop& loop_in, CountingAcceptor& acceptor_in)
      : loop(loop_in), acceptor(acceptor_in) {}
  void on_turn_end() override {
    ++turns;
    if (acceptor.accepted == 1 || turns == 1000) loop.stop();
  }
  RealLoop& loop;
  CountingAcceptor& acceptor;
  int turns = 0;
};

TEST(RealLoop, WithoutDescriptorsAcceptingPausesInsteadOfSpinning) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer needs descriptors of its own";
#endif
  const auto loop = RealLoop::create();
  CountingAcceptor acceptor(*loop);
  StopWhenAccepted hook(*loop, acceptor);
  loop->add_turn_hook(hook, TurnPhase::send);
  const auto endpoint = *loop->listen({"127.0.0.1", 0}, acceptor);
  const auto client = connect_to(endpoint);
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = limit.rlim_max};
  loop->run_after(std::chrono::milliseconds(50), [&] { ::setrlimit(RLIMIT_NOFILE, &limit); });
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  loop->run();
  ::setrlimit(RLIMIT_NOFILE, &limit);
  EXPECT_EQ(acceptor.accepted, 1);
  EXPECT_LT(hook.turns, 10) << "one that fails, one for each timer, one that accepts";
}

TEST(RealLoop, AfterABusyTimeAnIdleLoopSleeps) {
  const auto loop = RealLoop::create();
  const auto sleeps = [] {
    rusage usage{};
    ::getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nvcsw;
  };
  long before = 0;
  loop->post([&] {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(5);
    while (std::chrono::steady_clock::now() < end) {
    }
    before = sleeps();
    loop->run_after(std::chrono::milliseconds(20), [&] { loop->stop(); });
  });
  loop->run();
  EXPECT_GT(sleeps(), before);
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

TEST(RealLoop, EachHangupSignalIsATaskOfTheLoop) {
  const auto loop = RealLoop::create();
  int hangups = 0;
  on_hangup_signal(*loop, [&] {
    if (++hangups == 3) return loop->stop();
    std::raise(SIGHUP);
  });
  loop->post([] { std::raise(SIGHUP); });
  loop->run();
  EXPECT_EQ(hangups, 3);
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
