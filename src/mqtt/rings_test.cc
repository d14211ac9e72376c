#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <string>

#include "base/random.h"
#include "mqtt/receive_ring.h"
#include "mqtt/received_ids.h"
#include "mqtt/send_window.h"
#include "mqtt/timer_wheel.h"
#include "mqtt/topic_aliases.h"

namespace sluice::mqtt {
namespace {

TEST(SendWindow, GivesEachIdOnceUntilItIsAcknowledgedAndKnowsHowFarItHasCome) {
  for (const std::uint16_t limit :
       std::initializer_list<std::uint16_t>{1, 2, 31, 32, 33, 1000, 65'535}) {
    SendWindow window;
    window.set_limit(limit);
    Random random(limit);
    std::map<std::uint16_t, SendState> in_flight;
    for (int i = 0; i < 100'000; ++i) {
      if (!window.full() && random.below(100) < 60) {
        const auto qos = static_cast<std::uint8_t>(1 + random.below(2));
        const std::uint16_t id = window.take(qos);
        ASSERT_NE(id, 0);
        const SendState sent = qos == 1 ? SendState::sent_qos1 : SendState::sent_qos2;
        ASSERT_TRUE(in_flight.emplace(id, sent).second) << "id " << id << " is in flight";
      } else if (!in_flight.empty()) {
        // Anywhere in the window: clients may acknowledge out of order.
        auto some = in_flight.lower_bound(static_cast<std::uint16_t>(random.next()));
        if (some == in_flight.end()) some = in_flight.begin();
        auto& [id, state] = *some;
        ASSERT_EQ(window.state(id), state);
        if (state == SendState::sent_qos2) {
          window.release(id);
          state = SendState::released;
        } else {
          window.finish(id);
          ASSERT_EQ(window.state(id), SendState::none);
          in_flight.erase(some);
        }
      }
      ASSERT_EQ(window.in_flight(), in_flight.size());
      ASSERT_LE(window.in_flight(), limit);
    }
    for (const auto& [id, state] : in_flight) ASSERT_EQ(window.state(id), state);
  }
}

TEST(SendWindow, KnowsNoIdThatItDidNotGive) {
  SendWindow window;
  EXPECT_EQ(window.state(1), SendState::none);
  EXPECT_EQ(window.take(1), 1);
  for (const std::uint16_t id : std::initializer_list<std::uint16_t>{0, 2, 33, 65, 65'535})
    EXPECT_EQ(window.state(id), SendState::none) << id;
  EXPECT_EQ(window.state(1), SendState::sent_qos1);
}

TEST(SendWindow, OneIdThatIsNeverAcknowledgedStopsItBeforeTheIdComesAgain) {
  SendWindow window;
  window.set_limit(10);
  const std::uint16_t stuck = window.take(2);
  int given = 0;
  for (; !window.full(); ++given) window.finish(window.take(1));
  EXPECT_EQ(given, 65'534);
  EXPECT_FALSE(window.has_room_again());
  EXPECT_EQ(window.state(stuck), SendState::sent_qos2);
  window.finish(stuck);
  EXPECT_TRUE(window.has_room_again());
  EXPECT_EQ(window.take(1), stuck) << "all ids have been used once";
}

TEST(ReceivedIds, KeepsTheStateOfEachIdWhateverIdsTheClientChooses) {
  for (const std::uint64_t spread : {1u, 40u, 2000u, 65'535u}) {
    ReceivedIds ids;
    std::map<std::uint16_t, ReceiveState> model;
    Random random(spread);
    std::uint64_t base = 0;
    for (int i = 0; i < 50'000; ++i) {
      base += random.below(3);
      const auto id = static_cast<std::uint16_t>(1 + (base + random.below(spread)) % 65'535);
      const auto state = static_cast<ReceiveState>(random.below(3));
      ids.set(id, state);
      if (state == ReceiveState::none)
        model.erase(id);
      else
        model[id] = state;
      if (random.below(1000) == 0) {
        for (const auto& [open, s] : std::exchange(model, {})) ids.set(open, ReceiveState::none);
        ids.release_memory_if_empty();
      }
      ASSERT_EQ(ids.size(), model.size());
      const auto other = static_cast<std::uint16_t>(1 + (base + random.below(spread)) % 65'535);
      const auto found = model.find(other);
      ASSERT_EQ(ids.state(other), found == model.end() ? ReceiveState::none : found->second);
    }
    for (const auto& [id, state] : model) ASSERT_EQ(ids.state(id), state);
  }
}

TEST(ReceivedAliases, ATopicIsKnownUntilItsAliasGetsAnother) {
  ReceivedAliases aliases;
  EXPECT_EQ(aliases.find(1), "");
  EXPECT_TRUE(aliases.define(3, "a"));
  EXPECT_EQ(aliases.find(1), "") << "below one that is defined";
  EXPECT_EQ(aliases.find(3), "a");
  EXPECT_TRUE(aliases.define(3, "b/c"));
  EXPECT_EQ(aliases.find(3), "b/c");
  EXPECT_EQ(aliases.find(4), "");
}

TEST(ReceivedAliases, WhatTheirTopicsTakeIsBounded) {
  ReceivedAliases aliases;
  const std::string topic(65'535, 't');
  for (std::uint16_t alias = 1; alias <= 4; ++alias) EXPECT_TRUE(aliases.define(alias, topic));
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(aliases.define(4, topic)) << "one replaces another";
  EXPECT_FALSE(aliases.define(5, topic));
}

TEST(SentAliases, TheSecondMessageOfATopicNeedsNoTopic) {
  SentAliases aliases(4);
  const auto first = aliases.choose("sensors/", "room/1", 6);
  EXPECT_EQ(first.alias, 3);
  EXPECT_FALSE(first.known);
  EXPECT_FALSE(aliases.choose("sensors/", "room/1", 6).known) << "it was not told";
  aliases.define(3, "sensors/", "room/1");
  EXPECT_TRUE(aliases.choose("sensors/", "room/1", 6).known);
  EXPECT_TRUE(aliases.choose("", "sensors/room/1", 6).known);
}

TEST(SentAliases, TopicsThatTakeTurnsDoNotPushEachOtherOut) {
  SentAliases aliases(1);
  int told = 0;
  for (int i = 0; i < 100; ++i) {
    const std::string_view topic = i % 2 == 0 ? "topic/one" : "topic/two";
    const auto choice = aliases.choose("", topic, 0);
    if (choice.alias == 0 || choice.known) continue;
    aliases.define(choice.alias, "", topic);
    ++told;
  }
  EXPECT_EQ(told, 1);
  // One that is used no more gives its place up.
  EXPECT_TRUE(aliases.choose("", "topic/one", 0).known);
  EXPECT_EQ(aliases.choose("", "topic/six", 0).alias, 0);
  EXPECT_EQ(aliases.choose("", "topic/six", 0).alias, 1);
}

TEST(SentAliases, TopicsThatWouldSaveNothingOrTakeTooMuchMemoryGetNone) {
  SentAliases aliases(1);
  EXPECT_EQ(aliases.choose("a/", "b", 0).alias, 0);
  EXPECT_EQ(aliases.choose("a/", std::string(2000, 'b'), 0).alias, 0);
}

TEST(ReceiveRing, KeepsTheOrderWhileItGrows) {
  ReceiveRing ring;
  std::deque<std::uint64_t> model;
  Random random(1);
  std::uint64_t next = 0;
  for (int i = 0; i < 10'000; ++i) {
    if (random.below(100) < 52) {
      ring.push({next, static_cast<std::uint16_t>(next), 1, PublishAnswer::positive, false});
      ASSERT_EQ(ring.back().sequence, next);
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
