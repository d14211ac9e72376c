#include <gtest/gtest.h>

#include <deque>
#include <set>

#include "base/random.h"
#include "mqtt/receive_ring.h"
#include "mqtt/send_window.h"
#include "mqtt/timer_wheel.h"

namespace sluice::mqtt {
namespace {

TEST(SendWindow, GivesEachIdOnceUntilItIsAcknowledged) {
  for (const std::uint16_t limit :
       std::initializer_list<std::uint16_t>{1, 2, 63, 64, 65, 1000, 65'535}) {
    SendWindow window;
    window.set_limit(limit);
    Random random(limit);
    std::set<std::uint16_t> in_flight;
    for (int i = 0; i < 100'000; ++i) {
      if (!window.full() && random.below(100) < 55) {
        const std::uint16_t id = window.take();
        ASSERT_NE(id, 0);
        ASSERT_TRUE(in_flight.insert(id).second) << "id " << id << " is in flight";
      } else if (!in_flight.empty()) {
        // Anywhere in the window: clients may acknowledge out of order.
        auto some = in_flight.lower_bound(static_cast<std::uint16_t>(random.next()));
        if (some == in_flight.end()) some = in_flight.begin();
        ASSERT_TRUE(window.release(*some));
        ASSERT_FALSE(window.release(*some));
        in_flight.erase(some);
      }
      ASSERT_EQ(window.in_flight(), in_flight.size());
      ASSERT_LE(window.in_flight(), limit);
    }
  }
}

TEST(SendWindow, KnowsNoIdThatItDidNotGive) {
  SendWindow window;
  EXPECT_FALSE(window.release(1));
  EXPECT_EQ(window.take(), 1);
  EXPECT_FALSE(window.release(0));
  EXPECT_FALSE(window.release(2));
  EXPECT_FALSE(window.release(65));
  EXPECT_TRUE(window.release(1));
}

TEST(SendWindow, OneIdThatIsNeverAcknowledgedStopsItBeforeTheIdComesAgain) {
  SendWindow window;
  window.set_limit(10);
  const std::uint16_t stuck = window.take();
  int given = 0;
  for (; !window.full(); ++given) window.release(window.take());
  EXPECT_EQ(given, 65'534);
  EXPECT_FALSE(window.has_room_again());
  EXPECT_TRUE(window.release(stuck));
  EXPECT_TRUE(window.has_room_again());
  EXPECT_EQ(window.take(), stuck) << "all ids have been used once";
}

TEST(ReceiveRing, KeepsTheOrderWhileItGrows) {
  ReceiveRing ring;
  std::deque<std::uint64_t> model;
  Random random(1);
  std::uint64_t next = 0;
  for (int i = 0; i < 10'000; ++i) {
    if (random.below(100) < 52) {
      ring.push({next, static_cast<std::uint16_t>(next), Reason::success, false});
      model.push_back(next++);
    } else if (!model.empty()) {
      ASSERT_EQ(ring.front().sequence, model.front());
      ring.pop();
      model.pop_front();
    }
    ASSERT_EQ(ring.size(), model.size());
  }
  ASSERT_FALSE(model.empty());
  EXPECT_EQ(ring.find(model.back())->sequence, model.back());
  EXPECT_EQ(ring.find(next), nullptr);
}

TEST(TimerWheel, VisitsEachEntryInItsSecond) {
  TimerWheel wheel;
  wheel.start(1000);
  EXPECT_EQ(wheel.add(1003, {1, 0}), 1003u);
  EXPECT_EQ(wheel.add(900, {2, 0}), 1001u) << "what is over comes next";
  EXPECT_EQ(wheel.add(100'000, {3, 0}), 1000 + TimerWheel::span_s - 1) << "what is far comes early";
  std::vector<std::pair<std::uint32_t, std::uint32_t>> seen;
  const auto visit = [&](hub::Handle who, std::uint32_t second) {
    seen.emplace_back(who.index, second);
  };
  wheel.advance(1002, visit);
  EXPECT_EQ(seen, (decltype(seen){{2, 1001}}));
  wheel.advance(5000, visit);
  EXPECT_EQ(seen, (decltype(seen){{2, 1001}, {1, 1003}, {3, 1511}}));
}

}  // namespace
}  // namespace sluice::mqtt
