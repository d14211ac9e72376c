// Shared subscriptions that outlive their members, on one shard and on several.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "hub/clients_test.h"
#include "hub/share_state.h"
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

  // A member that has two messages yet; its session's filter is gone, durably.
  std::unique_ptr<TestSubscriber> unsubscribed_with_two() {
    Session session{"c"};
    auto member = subscribed(0, session);
    publish(0, 2);
    EXPECT_TRUE(member->unsubscribe(workers));
    groups_of(workers).release(workers, session.filters[0].share);
    run();
    return member;
  }
  bool is_kept(const std::string& text) { return groups_of(text).is_kept(text); }
  sessions::Groups& groups_of(const std::string& text) {
    const ShardId home = shard_of_slot(sessions::slot_of_group(text), GetParam());
    return stored->sessions[home.value]->groups();
  }

  // What an administrator is answered.
  template <class T>
  Result<T> ask(std::move_only_function<void(Hub&, Done<T>)> request) {
    std::optional<Result<T>> answer;
    request(hub_of(0), [&](Result<T> result) { answer = std::move(result); });
    EXPECT_TRUE(stored->hub.world.run_until([&] { return answer.has_value(); }));
    return std::move(*answer);
  }
  std::optional<ShareDetails> shown(const std::string& text) {
    using Found = std::optional<ShareDetails>;
    auto found =
        ask<Found>([&](Hub& hub, Done<Found> done) { hub.show_share(text, std::move(done)); });
    EXPECT_TRUE(found) << found.error().text;
    return found.value_or(std::nullopt);
  }
  Result<bool> remove(const std::string& text) {
    return ask<bool>([&](Hub& hub, Done<bool> done) { hub.remove_share(text, std::move(done)); });
  }
  // Offset that is next, how many are open, and the oldest of these: of the only partition.
  static std::vector<std::int64_t> place_of(const ShareSummary& summary) {
    if (summary.places.size() != 1) return {};
    const sessions::GroupPlace& place = summary.places[0];
    return {place.next.offset.value, place.open, place.oldest.value};
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

TEST_P(StoredShares, WhoUnsubscribesHoldsItUntilWhatItHasIsSettled) {
  const auto member = unsubscribed_with_two();
  EXPECT_TRUE(is_kept(workers));
  member->settle_all();
  run();
  EXPECT_FALSE(is_kept(workers));
}

TEST_P(StoredShares, WhoGoesWhenItHasUnsubscribedHoldsItNoMore) {
  unsubscribed_with_two().reset();
  run();
  EXPECT_FALSE(is_kept(workers));
  const auto later = clean(1);
  publish(2, 3);
  EXPECT_EQ(later->payloads(), numbers(2, 3));
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

// --- for administrators

using Numbers = std::vector<std::int64_t>;

TEST_P(StoredShares, AQueueIsShownWithItsConsumersAndWhatTheyHave) {
  auto one = clean(0, jobs), two = clean(1, jobs);
  one->name = "one";
  two->name = "two";
  publish(0, 3);  // of one topic, so to one of them
  TestSubscriber& busy = one->got.empty() ? *two : *one;
  busy.settle(0);
  run();
  const auto details = shown(jobs);
  ASSERT_TRUE(details);
  EXPECT_EQ(details->summary.members, 2u);
  EXPECT_EQ(place_of(details->summary), (Numbers{3, 2, 1}));
  std::vector<std::pair<std::string, std::uint32_t>> members;
  for (const ShareMember& member : details->members)
    members.emplace_back(member.client_id, member.open);
  std::ranges::sort(members);
  const bool is_one = &busy == one.get();
  EXPECT_EQ(members, (std::vector<std::pair<std::string, std::uint32_t>>{
                         {"one", is_one ? 2u : 0u}, {"two", is_one ? 0u : 2u}}));
}

TEST_P(StoredShares, AQueueWithoutConsumersIsShownAsItWasLeft) {
  auto consumer = clean(0, jobs);
  publish(0, 3);
  consumer->settle(1);
  consumer.reset();
  run();
  publish(3, 5);
  const auto details = shown(jobs);
  ASSERT_TRUE(details);
  EXPECT_EQ(details->summary.members, 0u);
  EXPECT_TRUE(details->members.empty());
  EXPECT_EQ(place_of(details->summary), (Numbers{3, 2, 0}));
  EXPECT_FALSE(shown("$queue/other/a/#"));
}

TEST_P(StoredShares, WithAndWithoutMembersAllAreListedInOrder) {
  clean(0, "$queue/b/x").reset();
  run();
  const auto consumer = clean(1, "$queue/c/x"), member = clean(2, "$share/a/x");
  const auto list = [&](const PageQuery& query) {
    using Found = Page<ShareSummary>;
    auto page =
        ask<Found>([&](Hub& hub, Done<Found> done) { hub.list_shares(query, std::move(done)); });
    EXPECT_TRUE(page) << page.error().text;
    Strings texts;
    for (const ShareSummary& one : page->items)
      texts.push_back(one.text + " " + std::to_string(one.members));
    texts.emplace_back(page->has_more ? "more" : "end");
    return texts;
  };
  EXPECT_EQ(list({}), (Strings{"$queue/b/x 0", "$queue/c/x 1", "$share/a/x 1", "end"}));
  EXPECT_EQ(list({.limit = 1}), (Strings{"$queue/b/x 0", "more"}));
  EXPECT_EQ(list({.after = "$queue/b/x", .limit = 1}), (Strings{"$queue/c/x 1", "more"}));
  EXPECT_EQ(list({.after = "$queue/c/x"}), (Strings{"$share/a/x 1", "end"}));
  EXPECT_EQ(list({.contains = "share"}), (Strings{"$share/a/x 1", "end"}));
}

TEST_P(StoredShares, ARemovedQueueBeginsAnew) {
  clean(0, jobs).reset();
  run();
  publish(0, 3);
  EXPECT_EQ(remove(jobs), true);
  EXPECT_FALSE(shown(jobs));
  EXPECT_EQ(remove(jobs), false);
  crash();
  EXPECT_FALSE(shown(jobs)) << "it is gone from disk";
  const auto later = clean(1, jobs);
  publish(3, 5);
  EXPECT_EQ(later->payloads(), numbers(3, 5));
}

TEST_P(StoredShares, AQueueWithConsumersIsNotRemovedAndTheyAreNamed) {
  auto consumer = clean(1, jobs);
  consumer->name = "worker";
  publish(0, 1);
  EXPECT_TRUE(consumer->unsubscribe(jobs));
  run();
  const auto refused = remove(jobs);
  ASSERT_FALSE(refused) << "it may still acknowledge";
  EXPECT_EQ(refused.error().code, Errc::exists);
  EXPECT_NE(refused.error().text.find("consumers: 'worker';"), std::string::npos)
      << refused.error().text;
  consumer->settle_all();
  run();
  EXPECT_EQ(remove(jobs), true);
}

// What was on its way to the store does not come after its end, and who waits for that is answered.
TEST_P(StoredShares, AQueueIsRemovedWhileItIsBeingLeft) {
  for (int round = 0; round < 60; ++round) {
    auto consumer = clean(0, jobs);
    publish(0, 2);
    consumer.reset();
    stored->hub.world.run_for(std::chrono::microseconds(10 * round));
    std::size_t waiting = stored->hub.hubs.size();
    for (auto& hub : stored->hub.hubs) hub->save_groups([&](const Result<void>&) { --waiting; });
    Result<bool> removed = false;
    do removed = remove(jobs);
    while (!removed && removed.error().text.find("has consumers") != std::string::npos);
    ASSERT_TRUE(removed) << removed.error().text;
    ASSERT_TRUE(*removed);
    run();
    ASSERT_EQ(waiting, 0u);
    ASSERT_FALSE(shown(jobs));
  }
}

// Whichever comes first, the consumer is one from then on, and all are answered.
TEST_P(StoredShares, AQueueIsRemovedAndJoinedAtTheSameTime) {
  auto consumer = clean(0, jobs);
  for (int round = 0; round < 40; ++round) {
    std::optional<Result<bool>> removed;
    consumer.reset();
    stored->hub.world.run_for(std::chrono::microseconds(25 * (round % 7)));
    hub_of(1).remove_share(jobs, [&](Result<bool> result) { removed = std::move(result); });
    stored->hub.world.run_for(std::chrono::microseconds(15 * (round % 11)));
    consumer = std::make_unique<TestSubscriber>(hub_of(0), 0);
    consumer->start_subscribe(jobs, {.qos = 1});
    run();
    ASSERT_TRUE(removed);
    ASSERT_TRUE(*removed || removed->error().code == Errc::exists) << removed->error().text;
    ASSERT_EQ(consumer->subscribed, 1);
    publish(round, round + 1);
    ASSERT_EQ(consumer->payloads(), numbers(round, round + 1));
    consumer->settle_all();
    run();
  }
}

}  // namespace
}  // namespace sluice::hub
