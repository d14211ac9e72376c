#include "runtime/poll_set.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <functional>

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
  EXPECT_EQ(set.serve(), 0u) << "or the loop would spin";
  set.set_interest(pipe.read.get(), {.read = true, .write = false});
  EXPECT_EQ(set.serve(), 1u);
  EXPECT_EQ(handler.calls, 1);
}

}  // namespace
}  // namespace sluice::runtime
