// Shared subscriptions that outlive their members, on one shard and on several.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "hub/clients_test.h"
#include "hub/stored_hub_test.h"

namespace sluice::hub {
namespace {

using Strings = std::vector<std::string>;

const std::string workers = "$share/workers/a/#";
const std::string jobs = "$queue/jobs/a/#";

Strings numbers(int from, int until) {
  Strings all;
  for (int i = from; i < until; ++i) all.push_back(std::to_string(i));
  return all;
}

class StoredShares : public testing::TestWithParam<std::uint32_t> {
 protected:
  StoredShares() { start(); }
  void start() {
    stored = std::make_unique<StoredHub>(++lives_, GetParam(), machine_);
    stored->open();
    publisher = std::make_unique<TestPublisher>(stored->hub, 7);
  }
  void crash() {
    stored->hub.world.power_off();
    publisher.reset();
    stored.reset();
    machine_->crash();
    start();
  }
  // What a front end keeps of the session of a client.
  struct Session {
    std::string client_id;
    std::vector<StoredFilter> filters{};
  };
  Hub& hub_of(std::uint32_t client) { return *stored->hub.hubs[client % GetParam()]; }
  void run() { stored->hub.world.run_until_idle(); }

  std::unique_ptr<TestSubscriber> subscribed(std::uint32_t client, Session& session,
                                             const std::string& text = workers) {
    Hub& hub = hub_of(client);
    auto made = std::make_unique<TestSubscriber>(hub, client);
    const SubscribeOptions options{.qos = 1};
    bool done = false;
    hub.subscribe_shared(made->handle(), text, options, session.client_id,
                         [&](const Result<void>& result) {
                           EXPECT_TRUE(result) << result.error().text;
                           done = true;
                         });
    EXPECT_TRUE(stored->hub.world.run_until([&] { return done; }));
    session.filters = {{text, options, {}, hub.share_of(made->handle(), text)}};
    EXPECT_TRUE(hub.holds_shares(made->handle()));
    return made;
  }
  std::unique_ptr<TestSubscriber> clean(std::uint32_t client, const std::string& text = workers) {
    auto made = std::make_unique<TestSubscriber>(hub_of(client), client);
    made->subscribe(stored->hub.world, text, {.qos = 1});
    return made;
  }
  void publish(int from, int until) {
    for (int i = from; i < until; ++i) ASSERT_TRUE(publisher->publish("a/x", std::to_string(i)));
    run();
  }
  // All that is there is durable, as after ten seconds.
  void save_groups() {
    std::size_t open = stored->hub.hubs.size();
    for (auto& hub : stored->hub.hubs)
      hub->save_groups([&](const Result<void>& saved) {
        EXPECT_TRUE(saved) << saved.error().text;
        --open;
      });
    ASSERT_TRUE(stored->hub.world.run_until([&] { return open == 0; }));
  }

  std::unique_ptr<StoredHub> stored;
  std::unique_ptr<TestPublisher> publisher;

 private:
  std::shared_ptr<SimMachine> machine_ = std::make_shared<SimMachine>(1);
  std::uint64_t lives_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Shards, StoredShares, testing::Values(1u, 2u, 3u));

TEST_P(StoredShares, WhatComesWhileNobodyIsThereIsForWhoIsBack) {
  Session session{"c"};
  auto member = subscribed(0, session);
  publish(0, 3);
  EXPECT_EQ(member->payloads(), numbers(0, 3));
  member->settle_all();
  member.reset();
  publish(3, 6);
  // By the share of the session, whoever restores it.
  const auto back = clean(1);
  run();
  EXPECT_EQ(back->payloads(), numbers(3, 6));
}

TEST_P(StoredShares, WhatWasNotSettledComesFirst) {
  Session session{"c"};
  auto member = subscribed(0, session);
  publish(0, 4);
  member->settle(1);
  member.reset();
  publish(4, 6);
  const auto back = clean(1);
  run();
  EXPECT_EQ(back->payloads(), (Strings{"0", "2", "3", "4", "5"}));
}

TEST_P(StoredShares, WhatASessionHasKeptGoesToNobodyElse) {
  Session session{"c"};
  auto member = subscribed(0, session);
  publish(0, 4);
  const Ticket ticket = member->got.at(2).ticket;
  hub_of(0).keep(ticket.membership, {&ticket.number, 1});
  run();
  member.reset();
  const auto back = clean(1);
  run();
  EXPECT_EQ(back->payloads(), (Strings{"0", "1", "3"}));
}

TEST_P(StoredShares, OthersGoOnWhileTheHolderIsAway) {
  Session session{"c"};
  auto member = subscribed(0, session);
  auto other = clean(1);
  member.reset();
  publish(0, 3);
  EXPECT_EQ(other->payloads(), numbers(0, 3));
  other->settle_all();
  other.reset();
  publish(3, 5);
  const auto back = clean(2);
  run();
  EXPECT_EQ(back->payloads(), numbers(3, 5));
}

TEST_P(StoredShares, WithoutAHolderItEndsWithItsLastMember) {
  clean(0).reset();
  run();
  publish(0, 3);
  const auto later = clean(1);
  publish(3, 4);
  EXPECT_EQ(later->payloads(), numbers(3, 4));
}

TEST_P(StoredShares, WhoIsBackBeforeItWasStoredFindsItAsItWas) {
  for (int round = 0; round < 50; ++round) {
    Session session{"c"};
    auto member = subscribed(0, session);
    member.reset();
    stored->hub.world.run_for(std::chrono::microseconds(20 * round));
    ASSERT_TRUE(publisher->publish("a/x", std::to_string(round)));
    stored->hub.world.run_for(std::chrono::microseconds(20 * round));
    const auto back = clean(1);
    run();
    ASSERT_EQ(back->payloads(), numbers(round, round + 1));
    back->settle_all();
    run();
  }
}

TEST_P(StoredShares, AQueueLastsWithoutMembers) {
  clean(0, jobs).reset();
  run();
  publish(0, 3);
  auto consumer = clean(1, jobs);
  run();
  EXPECT_EQ(consumer->payloads(), numbers(0, 3));
  EXPECT_TRUE(consumer->unsubscribe(jobs));
  consumer->settle_all();
  consumer.reset();
  run();
  publish(3, 5);
  const auto later = clean(2, jobs);
  run();
  EXPECT_EQ(later->payloads(), numbers(3, 5));
}

TEST_P(StoredShares, ConsumersOfAQueueCompete) {
  const auto one = clean(0, jobs), two = clean(1, jobs);
  for (int i = 0; i < 10; ++i)
    ASSERT_TRUE(publisher->publish("a/" + std::to_string(i), std::to_string(i)));
  run();
  EXPECT_EQ(one->got.size(), 5u);
  EXPECT_EQ(two->got.size(), 5u);
}

TEST_P(StoredShares, AQueueIsThereAfterACrashFromItsFirstSubscriptionOn) {
  auto consumer = clean(0, jobs);
  publish(0, 5);
  consumer.reset();
  crash();
  publish(5, 6);
  const auto later = clean(1, jobs);
  run();
  EXPECT_EQ(later->payloads(), numbers(0, 6)) << "nothing was saved, so all of it comes again";
}

TEST_P(StoredShares, AfterACrashWhatWasSettledWhenItWasSavedDoesNotComeAgain) {
  auto consumer = clean(0, jobs);
  publish(0, 5);
  for (const std::size_t settled : {0u, 1u, 3u}) consumer->settle(settled);
  run();
  save_groups();
  consumer.reset();
  crash();
  const auto later = clean(1, jobs);
  run();
  EXPECT_EQ(later->payloads(), (Strings{"2", "4"}));
}

TEST_P(StoredShares, WhatIsSettledBeforeItIsSavedForASubscriberIsInIt) {
  Session session{"c"};
  auto consumer = subscribed(0, session, jobs);
  publish(0, 3);
  consumer->settle(1);
  bool saved = false;
  hub_of(0).save_shares(consumer->handle(), [&](const Result<void>& result) {
    EXPECT_TRUE(result) << result.error().text;
    saved = true;
  });
  ASSERT_TRUE(stored->hub.world.run_until([&] { return saved; }));
  consumer.reset();
  crash();
  const auto later = clean(1, jobs);
  run();
  EXPECT_EQ(later->payloads(), (Strings{"0", "2"}));
}

TEST_P(StoredShares, ANewStreamIsReadFromItsStartByAQueueThatWasAway) {
  clean(0, jobs).reset();
  run();
  stored->hub.create("a", {.partitions = 2});
  publish(0, 3);
  const auto later = clean(1, jobs);
  run();
  EXPECT_EQ(later->payloads(), numbers(0, 3));
}

}  // namespace
}  // namespace sluice::hub
