// Shared subscriptions that are stored: who holds them, and what is left of them.
#include "sessions/groups.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "sessions/machine_test.h"

namespace sluice::sessions {
namespace {

using namespace std::chrono_literals;

const std::string shared = "$share/workers/a/#";
const std::string queue = "$queue/jobs/a/#";

class StoredGroups : public testing::Test {
 protected:
  [[nodiscard]] Position at(std::int64_t offset) const { return {{machine.data, 0}, {offset}}; }
  [[nodiscard]] GroupState some_state() const {
    return {.next = {at(10)}, .open = {at(3), at(5)}, .taken = {at(11)}};
  }

  std::uint32_t home_of(const std::string& text) {
    return shard_of_slot(slot_of_group(text), machine.backend.shards()).value;
  }
  std::optional<GroupState> open(const std::string& text = shared) {
    using Found = std::optional<GroupState>;
    const auto found = machine.await<Found>(home_of(text), [&](Sessions& s, Done<Found> done) {
      s.groups().open(text, std::move(done));
    });
    EXPECT_TRUE(found) << found.error().text;
    return found.value_or(std::nullopt);
  }
  void close(const std::string& text = shared) { machine.on(home_of(text)).groups().close(text); }
  void save(const GroupState& state, const std::string& text = shared) {
    const auto saved = machine.await<void>(home_of(text), [&](Sessions& s, Done<void> done) {
      s.groups().save(text, state, std::move(done));
    });
    EXPECT_TRUE(saved) << saved.error().text;
  }
  ShareId add_holder(const std::string& client_id) {
    const auto share =
        machine.await<ShareId>(home_of(shared), [&](Sessions& s, Done<ShareId> done) {
          s.groups().add_holder(shared, client_id, std::move(done));
        });
    EXPECT_TRUE(share) << share.error().text;
    return share.value_or(0);
  }
  // What a client does that subscribes. The group is open.
  struct Holder {
    std::string client_id;
    Uid uid;
    ShareId share;
  };
  Holder subscribe(const std::string& client_id) {
    const Uid uid = machine.connect(stored(client_id)).uid;
    const ShareId share = add_holder(client_id);
    machine.put_filter(client_id, uid, {.text = shared, .qos = 2, .share = share});
    return {client_id, uid, share};
  }
  void unsubscribe(const Holder& holder) {
    machine.expect_done([&](Sessions& s, Done<void> done) {
      s.erase_filter(holder.client_id, holder.uid, shared, holder.share, std::move(done));
    });
    machine.run_for(1s);
  }
  void end_session(const Holder& holder) {
    machine.disconnect(holder.client_id, holder.uid, 0);
    machine.run_for(1s);
  }
  Groups::Holders holders(const std::string& text = shared) {
    const auto found =
        machine.await<Groups::Holders>(home_of(text), [&](Sessions& s, Done<Groups::Holders> done) {
          s.groups().find_holders(text, std::move(done));
        });
    EXPECT_TRUE(found) << found.error().text;
    auto all = found.value_or(Groups::Holders{});
    std::ranges::sort(all.client_ids);
    return all;
  }
  Result<bool> remove(const std::string& text) {
    return machine.await<bool>(home_of(text), [&](Sessions& s, Done<bool> done) {
      s.groups().remove(text, std::move(done));
    });
  }
  // A queue that nobody uses.
  void leave_queue() {
    open(queue);
    save(some_state(), queue);
    close(queue);
  }
  // The same whoever has written it.
  static GroupState without_process(GroupState state) {
    state.process = 0;
    return state;
  }

  Machine machine{1};
};

TEST_F(StoredGroups, OneThatIsHeldGoesOnWhereItWas) {
  EXPECT_FALSE(open());
  subscribe("c");
  save(some_state());
  close();
  const auto found = open();
  ASSERT_TRUE(found);
  EXPECT_EQ(without_process(*found), some_state());
}

TEST_F(StoredGroups, OneThatNobodyHoldsIsNotStored) {
  open();
  save(some_state());
  close();
  EXPECT_FALSE(open());
}

TEST_F(StoredGroups, OneEndsWithTheSessionOfItsLastHolder) {
  open();
  const Holder one = subscribe("one"), two = subscribe("two");
  save(some_state());
  close();
  end_session(one);
  EXPECT_TRUE(open());
  close();
  end_session(two);
  EXPECT_FALSE(open());
}

TEST_F(StoredGroups, OneEndsWhenItsLastHolderUnsubscribes) {
  open();
  const Holder one = subscribe("one");
  save(some_state());
  unsubscribe(one);
  save(some_state());  // others are members yet
  close();
  EXPECT_FALSE(open());
}

TEST_F(StoredGroups, OneEndsWhenItsLastHolderExpires) {
  open();
  const Holder one = subscribe("one");
  save(some_state());
  close();
  machine.disconnect("one", one.uid, 5);
  machine.run_for(3min);
  EXPECT_FALSE(open());
}

TEST_F(StoredGroups, AHolderThatComesWhileTheLastOneGoesCounts) {
  open();
  const Holder one = subscribe("one");
  save(some_state());
  machine.backend.post({home_of(shared)}, [&] {
    machine.on(home_of(shared)).groups().remove_holder(shared, one.share);
  });
  subscribe("two");
  save(some_state());
  close();
  machine.run_for(1s);
  EXPECT_TRUE(open());
}

TEST_F(StoredGroups, AfterACrashNobodyIsGivenWhatSessionsHaveInFlight) {
  open();
  const Holder one = subscribe("one");
  const std::uint32_t mark = group_mark(shared);
  machine.save("one", one.uid,
               {.in_flight = {{1, SentState::qos2, at(5), mark},
                              {2, SentState::released, at(12), mark},
                              {3, SentState::qos2, at(3)},
                              {4, SentState::qos2, at(13), mark + 1}}});
  save(some_state());
  machine.restart_after_crash();
  const auto found = open();
  ASSERT_TRUE(found);
  EXPECT_EQ(without_process(*found),
            (GroupState{.next = {at(10)}, .open = {at(3)}, .taken = {at(11), at(12)}}))
      << "5 and 12 are the session's; 3 it has by a plain filter, 13 by another group";
}

TEST_F(StoredGroups, AfterACrashAHolderWhoseSessionDoesNotSaySoIsNone) {
  open();
  machine.connect(stored("c"));
  add_holder("c");
  save(some_state());
  machine.restart_after_crash();
  EXPECT_FALSE(open());
}

TEST_F(StoredGroups, AfterACrashHoldersAreLookedAtHoweverManyThereAre) {
  open();
  for (int i = 0; i < 250; ++i) add_holder("gone" + std::to_string(i));
  subscribe("c");
  save(some_state());
  machine.restart_after_crash(3);
  EXPECT_TRUE(open());
}

TEST_F(StoredGroups, AHolderThatIsNoneIsAskedForWhatItHasInFlightUntilTheGroupIsSaved) {
  open();
  machine.on(home_of(shared)).groups().set_on_released([](const std::string&, ShareId) {});
  const Holder one = subscribe("one");
  subscribe("two");
  machine.save("one", one.uid, {.in_flight = {{1, SentState::qos2, at(12), group_mark(shared)}}});
  unsubscribe(one);
  save(some_state());
  std::optional<GroupState> found;
  for (int i = 0; i < 2; ++i) {
    machine.restart_after_crash();
    found = open();
    ASSERT_TRUE(found);
    EXPECT_EQ(found->taken, (std::vector<Position>{at(11), at(12)}));
    add_holder("other");  // what was put behind is durable with it
  }
  save(*found);
  EXPECT_EQ(holders().taken, std::vector<Position>{}) << "its row is gone";
}

TEST_F(StoredGroups, AQueueNeedsNoHolder) {
  EXPECT_FALSE(open(queue));
  save(some_state(), queue);
  machine.restart_after_crash();
  const auto found = open(queue);
  ASSERT_TRUE(found);
  EXPECT_EQ(without_process(*found), some_state());
}

// --- for administrators

TEST_F(StoredGroups, PlacesTellPerPartitionWhatIsOpenAndTheOldestOfIt) {
  const Position elsewhere{{machine.data, 1}, {7}};
  const auto places =
      places_of({.next = {at(10), elsewhere}, .open = {at(5), at(3)}, .taken = {at(11)}});
  EXPECT_EQ(places, (std::vector<GroupPlace>{{.next = at(10), .open = 2, .oldest = {3}},
                                             {.next = elsewhere}}));
}

TEST_F(StoredGroups, TheyAreListedInTheOrderOfTheirTexts) {
  Machine one(2, 1);
  using Found = Page<GroupSummary>;
  const auto list = [&](const PageQuery& query) {
    std::vector<std::string> texts;
    const auto page = one.await<Found>(
        0, [&](Sessions& s, Done<Found> done) { s.groups().list(query, std::move(done)); });
    EXPECT_TRUE(page) << page.error().text;
    for (const GroupSummary& group : page->items) texts.push_back(group.text);
    texts.emplace_back(page->has_more ? "more" : "end");
    return texts;
  };
  for (const char* text : {"$queue/b/#", "$queue/a/x", "$queue/c/#"}) {
    one.expect_done([&](Sessions& s, Done<void> done) {
      s.groups().open(text, [&s, text, done = std::move(done)](
                                const Result<std::optional<GroupState>>&) mutable {
        s.groups().save(text, {}, std::move(done));
      });
    });
  }
  EXPECT_EQ(list({.limit = 2}), (std::vector<std::string>{"$queue/a/x", "$queue/b/#", "more"}));
  EXPECT_EQ(list({.after = "$queue/b/#", .limit = 2}),
            (std::vector<std::string>{"$queue/c/#", "end"}));
  EXPECT_EQ(list({.contains = "/#"}),
            (std::vector<std::string>{"$queue/b/#", "$queue/c/#", "end"}));
}

TEST_F(StoredGroups, HoldersAreThoseWhoseSessionsSaySo) {
  open();
  const Holder one = subscribe("one");
  subscribe("two");
  machine.connect(stored("none"));
  add_holder("none");
  save(some_state());
  EXPECT_EQ(holders().client_ids, (std::vector<std::string>{"one", "two"}));
  unsubscribe(one);
  EXPECT_EQ(holders().client_ids, std::vector<std::string>{"two"});
}

TEST_F(StoredGroups, OneThatIsRemovedBeginsAnewAlsoAfterACrash) {
  leave_queue();
  EXPECT_EQ(remove(queue), true);
  EXPECT_EQ(remove(queue), false);
  machine.restart_after_crash();
  EXPECT_FALSE(open(queue));
}

TEST_F(StoredGroups, OneThatIsInUseIsNotRemoved) {
  open(queue);
  save(some_state(), queue);
  const auto refused = remove(queue);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::exists);
  close(queue);
  EXPECT_TRUE(open(queue)) << "it is as it was";
}

TEST_F(StoredGroups, OneThatASessionHoldsIsNotRemoved) {
  open();
  const Holder one = subscribe("one");
  save(some_state());
  close();
  const auto refused = remove(shared);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::exists);
  EXPECT_TRUE(open());
  close();
  end_session(one);
  EXPECT_EQ(remove(shared), false) << "it went with the session";
}

TEST_F(StoredGroups, HoldersThatAreNoneDoNotKeepOneFromBeingRemoved) {
  open();
  machine.connect(stored("c"));
  add_holder("c");
  save(some_state());
  close();
  EXPECT_EQ(remove(shared), true);
  EXPECT_FALSE(open());
}

TEST_F(StoredGroups, WhoOpensOneThatIsBeingRemovedFindsThatItBegins) {
  leave_queue();
  std::vector<std::string> answers;
  machine.backend.post({home_of(queue)}, [&] {
    Groups& groups = machine.on(home_of(queue)).groups();
    groups.remove(queue, [&](Result<bool> removed) {
      answers.emplace_back(removed == true ? "removed" : "refused");
    });
    groups.remove(queue, [&](Result<bool> removed) {
      answers.emplace_back(removed ? "removed" : "not twice");
    });
    groups.open(queue, [&](Result<std::optional<GroupState>> found) {
      answers.emplace_back(found && !*found ? "begins" : "goes on");
    });
  });
  machine.run_for(1s);
  EXPECT_EQ(answers, (std::vector<std::string>{"not twice", "removed", "begins"}));
}

TEST_F(StoredGroups, NothingIsPutWhenTheHubStops) {
  open();
  subscribe("c");
  save(some_state());
  machine.stop();
  machine.start(2);
  EXPECT_TRUE(open());
}

}  // namespace
}  // namespace sluice::sessions
