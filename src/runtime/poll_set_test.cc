#include "runtime/poll_set.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <vector>

namespace sluice::runtime {
namespace {

struct Pipe {
  Pipe() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    read = FileDescriptor(ends[0]);
    write = FileDescriptor(ends[1]);
  }
  void make_readable() { EXPECT_EQ(::write(write.get(), "x", 1), 1); }
  FileDescriptor read;
  FileDescriptor write;
};

struct Handler final : SocketHandler {
  void on_readable() override {
    ++calls;
    if (then) then();
  }
  void on_writable() override { ++calls; }
  int calls = 0;
  std::function<void()> then;
};

TEST(PollSet, ANumberTakenAgainGetsNoEventOfItsPredecessor) {
  PollSet set;
  Pipe pipes[2];
  Handler handlers[2];
  Handler successor;
  Pipe quiet;
  // Whichever comes first replaces the other by a pipe with nothing to read.
  for (int i = 0; i < 2; ++i) {
    pipes[i].make_readable();
    set.add(pipes[i].read.get(), handlers[i]);
    handlers[i].then = [&, i] {
      const int number = pipes[1 - i].read.get();
      set.remove(number);
      ASSERT_EQ(::dup3(quiet.read.get(), number, O_CLOEXEC), number);
      set.add(number, successor);
    };
  }
  set.wait(Duration::zero());
  EXPECT_EQ(set.serve(), 2u);
  EXPECT_EQ(handlers[0].calls + handlers[1].calls, 1);
  EXPECT_EQ(successor.calls, 0);
}

TEST(PollSet, AHangUpReachesOnlyWhoAsksForSomething) {
  PollSet set;
  Pipe pipe;
  Handler handler;
  set.add(pipe.read.get(), handler);
  set.set_interest(pipe.read.get(), {.read = false, .write = false});
  pipe.write = FileDescriptor();
  set.wait(Duration::zero());
  EXPECT_FALSE(set.has_due()) << "or the loop would spin";
  set.set_interest(pipe.read.get(), {.read = true, .write = false});
  set.drained(pipe.read.get());  // of bytes, but the end is still to be told
  EXPECT_EQ(set.serve(), 1u);
  EXPECT_EQ(handler.calls, 1);
}

TEST(PollSet, AHandlerIsCalledAgainUntilNothingIsLeft) {
  PollSet set;
  Pipe pipe;
  Handler handler;
  set.add(pipe.read.get(), handler);
  pipe.make_readable();
  set.wait(std::nullopt);
  EXPECT_EQ(set.serve(), 1u);
  handler.then = [&] { set.drained(pipe.read.get()); };
  EXPECT_EQ(set.serve(), 1u);
  EXPECT_FALSE(set.has_due());
  pipe.make_readable();
  set.wait(std::nullopt);
  EXPECT_EQ(set.serve(), 1u);
  EXPECT_EQ(handler.calls, 3);
}

TEST(PollSet, WhatCameWhileNobodyWantedItIsToldWhenSomebodyDoes) {
  PollSet set;
  Pipe pipe;
  Handler handler;
  set.add(pipe.read.get(), handler, {.read = false, .write = false});
  pipe.make_readable();
  set.wait(std::nullopt);
  EXPECT_EQ(set.serve(), 0u);
  set.set_interest(pipe.read.get(), {.read = true, .write = false});
  EXPECT_TRUE(set.has_due());
  EXPECT_EQ(set.serve(), 1u);
}

TEST(PollSet, RoomToWriteIsToldOnlyToWhoWantsItAndUntilThereIsNone) {
  PollSet set;
  Pipe pipe;
  Handler handler;
  set.add(pipe.write.get(), handler);
  set.wait(std::nullopt);
  EXPECT_EQ(set.serve(), 0u);
  set.set_interest(pipe.write.get(), {.read = true, .write = true});
  EXPECT_EQ(set.serve(), 1u);
  std::array<char, 4096> page{};
  while (::write(pipe.write.get(), page.data(), page.size()) > 0) {
  }
  set.filled(pipe.write.get());
  EXPECT_EQ(set.serve(), 1u) << "queued before; not called";
  EXPECT_EQ(handler.calls, 1);
  while (::read(pipe.read.get(), page.data(), page.size()) > 0) {
  }
  set.wait(std::nullopt);
  EXPECT_EQ(set.serve(), 1u);
  EXPECT_EQ(handler.calls, 2);
}

TEST(PollSet, ManyThatAreReadyTakeTurns) {
  constexpr std::size_t count = 600;
  PollSet set;
  std::vector<Pipe> pipes(count);
  std::vector<Handler> handlers(count);
  for (std::size_t i = 0; i < count; ++i) {
    pipes[i].make_readable();
    set.add(pipes[i].read.get(), handlers[i]);
    handlers[i].then = [&, i] { set.drained(pipes[i].read.get()); };
  }
  for (std::size_t served = 0; served < count;) {
    set.wait(Duration::zero());
    const std::size_t now = set.serve();
    ASSERT_GT(now, 0u);
    EXPECT_LT(now, count);
    served += now;
  }
  for (const Handler& handler : handlers) EXPECT_EQ(handler.calls, 1);
}

}  // namespace
}  // namespace sluice::runtime
