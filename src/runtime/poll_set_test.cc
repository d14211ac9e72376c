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

// A pipe whose read end is to be watched.
class PollSetOfAPipe : public ::testing::Test {
 protected:
  int read_end() { return pipe_.read.get(); }

  PollSet set_;
  Pipe pipe_;
  Handler handler_;
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

TEST_F(PollSetOfAPipe, AHangUpReachesOnlyWhoAsksForSomething) {
  set_.add(read_end(), handler_);
  set_.set_interest(read_end(), {.read = false, .write = false});
  pipe_.write = FileDescriptor();
  set_.wait(Duration::zero());
  EXPECT_FALSE(set_.has_due()) << "or the loop would spin";
  set_.set_interest(read_end(), {.read = true, .write = false});
  set_.drained(read_end());  // of bytes, but the end is still to be told
  EXPECT_EQ(set_.serve(), 1u);
  EXPECT_EQ(handler_.calls, 1);
}

TEST_F(PollSetOfAPipe, AHandlerIsCalledAgainUntilNothingIsLeft) {
  set_.add(read_end(), handler_);
  pipe_.make_readable();
  set_.wait(std::nullopt);
  EXPECT_EQ(set_.serve(), 1u);
  handler_.then = [&] { set_.drained(read_end()); };
  EXPECT_EQ(set_.serve(), 1u);
  EXPECT_FALSE(set_.has_due());
  pipe_.make_readable();
  set_.wait(std::nullopt);
  EXPECT_EQ(set_.serve(), 1u);
  EXPECT_EQ(handler_.calls, 3);
}

TEST_F(PollSetOfAPipe, WhatCameWhileNobodyWantedItIsToldWhenSomebodyDoes) {
  set_.add(read_end(), handler_, {.read = false, .write = false});
  pipe_.make_readable();
  set_.wait(std::nullopt);
  EXPECT_EQ(set_.serve(), 0u);
  set_.set_interest(read_end(), {.read = true, .write = false});
  EXPECT_TRUE(set_.has_due());
  EXPECT_EQ(set_.serve(), 1u);
}

TEST_F(PollSetOfAPipe, RoomToWriteIsToldOnlyToWhoWantsItAndUntilThereIsNone) {
  set_.add(pipe_.write.get(), handler_);
  set_.wait(std::nullopt);
  EXPECT_EQ(set_.serve(), 0u);
  set_.set_interest(pipe_.write.get(), {.read = true, .write = true});
  EXPECT_EQ(set_.serve(), 1u);
  std::array<char, 4096> page{};
  while (::write(pipe_.write.get(), page.data(), page.size()) > 0) {
  }
  set_.filled(pipe_.write.get());
  EXPECT_EQ(set_.serve(), 1u) << "queued before; not called";
  EXPECT_EQ(handler_.calls, 1);
  while (::read(read_end(), page.data(), page.size()) > 0) {
  }
  set_.wait(std::nullopt);
  EXPECT_EQ(set_.serve(), 1u);
  EXPECT_EQ(handler_.calls, 2);
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
