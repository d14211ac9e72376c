#include "kafka_stream/append_queue.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::kafka_stream {
namespace {

using namespace std::chrono_literals;
using stream::Appended;

constexpr Partition partition{StreamId{70000}, 0};

class AppendQueueTest : public testing::Test {
 protected:
  std::uint64_t push(runtime::TimePoint now = {}) {
    return queue.push(partition, now, [this, n = pushed++](const Result<Appended>& result) {
      answered.push_back(n);
      errors += result ? 0 : 1;
    });
  }
  AppendQueue queue;
  int pushed = 0;
  int errors = 0;
  std::vector<int> answered;
};

TEST_F(AppendQueueTest, AnswersComeInTheOrderOfTheCallsWhateverComesFirst) {
  const auto a = push();
  const auto b = push();
  const auto c = push();
  queue.answer(partition, c, Appended{{2}});
  queue.answer(partition, b, fail(Errc::io, "late"));
  EXPECT_TRUE(answered.empty());
  queue.answer(partition, a, Appended{{0}});
  EXPECT_EQ(answered, (std::vector{0, 1, 2}));
  EXPECT_EQ(errors, 1);
}

TEST_F(AppendQueueTest, WhatAGonePartitionOwedIsAnsweredOnceOnly) {
  const auto a = push();
  push();
  queue.fail_all(partition, Error{Errc::closed, "gone"});
  queue.answer(partition, a, Appended{});
  EXPECT_EQ(answered, (std::vector{0, 1}));
  EXPECT_EQ(errors, 2);
}

TEST_F(AppendQueueTest, TheOldestIsTheFirstWithoutAnAnswer) {
  EXPECT_EQ(queue.oldest(), std::nullopt);
  const auto a = push(runtime::TimePoint(1s));
  push(runtime::TimePoint(2s));
  EXPECT_EQ(queue.oldest(), runtime::TimePoint(1s));
  queue.answer(partition, a, Appended{});
  EXPECT_EQ(queue.oldest(), runtime::TimePoint(2s));
}

}  // namespace
}  // namespace sluice::kafka_stream
