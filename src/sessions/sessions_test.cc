#include "sessions/sessions.h"

#include <gtest/gtest.h>

#include <set>

#include "sessions/machine_test.h"
#include "sessions/rows.h"

namespace sluice::sessions {
namespace {

using namespace std::chrono_literals;

Position at(std::int64_t offset) {
  return {.partition = {.stream = {99}, .index = 1}, .offset = {offset}};
}

Filter some_filter(const std::string& text = "a/#") {
  return {.text = text, .qos = 1, .no_local = true, .id = 7, .since = {at(5)}};
}

Progress some_progress(std::uint16_t packet_id = 3) {
  return {.next = {at(40)},
          .in_flight = {{packet_id, SentState::qos2, at(33)}, {9, SentState::qos1, at(34)}},
          .next_packet_id = 10,
          .received = 0,
          .open = {},
          .replays = {{"$stream/s", {at(20)}}}};
}

// Client ids whose homes are on either of two shards.
const std::vector<std::string> clients = {"dev/0", "dev/1", "dev/2", "dev/3"};

TEST(Sessions, HaveHomesOnBothShardsOfTheseTests) {
  std::set<std::uint32_t> homes;
  for (const auto& client : clients) homes.insert(slot_of_client(client) % 2);
  EXPECT_EQ(homes.size(), 2u);
}

TEST(Sessions, AClientThatStoresNothingWritesNothing) {
  Machine machine(1);
  const auto batches = machine.total("sluice_table_batches_total");
  for (const auto& client : clients) {
    const Opened opened = machine.connect({.client_id = client});
    EXPECT_FALSE(opened.present);
    EXPECT_EQ(opened.uid, 0u);
  }
  EXPECT_EQ(machine.total("sluice_table_batches_total"), batches);
}

TEST(Sessions, GoOnWhereTheyWere) {
  Machine machine(2);
  for (const auto& client : clients) {
    const Opened first = machine.connect(stored(client));
    EXPECT_FALSE(first.present);
    EXPECT_NE(first.uid, 0u);
    EXPECT_EQ(first.uid % 2, 0u);
    machine.put_filter(client, first.uid, some_filter());
    machine.put_filter(client, first.uid, some_filter("b"));
    machine.put_filter(client, first.uid, some_filter("c"));
    machine.erase_filter(client, first.uid, "b");
    machine.disconnect(client, first.uid, 3600, false, some_progress());
    const Opened again = machine.connect(stored(client), 1);
    EXPECT_TRUE(again.present);
    EXPECT_FALSE(again.crashed);
    EXPECT_EQ(again.uid, first.uid);
    EXPECT_EQ(again.filters, (std::vector{some_filter(), some_filter("c")}));
    EXPECT_EQ(again.progress, some_progress());
  }
}

TEST(Sessions, OutliveAStop) {
  Machine machine(3);
  const Uid uid = machine.connect(stored("dev")).uid;
  machine.put_filter("dev", uid, some_filter());
  machine.disconnect("dev", uid, 3600, false, some_progress());
  machine.stop();
  machine.start(3);  // another number of shards, too
  const Opened again = machine.resume("dev");
  EXPECT_EQ(again.uid, uid);
  EXPECT_FALSE(again.crashed);
  EXPECT_EQ(again.filters, std::vector{some_filter()});
  EXPECT_EQ(again.progress, some_progress());
}

TEST(Sessions, MoreMayComeAndGoInOneTurnThanATableReadsAtOnce) {
  constexpr std::size_t clients_count = 5000;  // a table refuses what is beyond 4,096
  Machine machine(31, 1);
  std::vector<Uid> uids(clients_count);
  const auto connect_all = [&](bool present) {
    machine.expect_done([&](Sessions& sessions, Done<void> done) {
      const Together together(clients_count, std::move(done));
      for (std::size_t i = 0; i < clients_count; ++i)
        sessions.connect(stored("dev" + std::to_string(i)),
                         [&uid = uids[i], present,
                          answer = together.answer()](const Result<Opened>& opened) mutable {
                           if (!opened) return answer(std::unexpected(opened.error()));
                           EXPECT_EQ(opened->present, present);
                           uid = opened->uid;
                           answer({});
                         });
    });
  };
  const auto disconnect_all = [&] {
    machine.expect_done([&](Sessions& sessions, Done<void> done) {
      const Together together(clients_count, std::move(done));
      for (std::size_t i = 0; i < clients_count; ++i)
        sessions.disconnect("dev" + std::to_string(i), uids[i], 3600, false, some_progress(),
                            together.answer());
    });
  };
  connect_all(false);
  disconnect_all();
  machine.stop();
  machine.start(1);  // so that all are read from the store
  connect_all(true);
  machine.run_for(5min);  // and these rows are there, too
  disconnect_all();
}

TEST(Sessions, ACleanStartEndsTheOneThatWasThere) {
  Machine machine(4);
  const Uid uid = machine.connect(stored("dev")).uid;
  machine.put_filter("dev", uid, some_filter());
  machine.disconnect("dev", uid, 3600, false, some_progress());
  const Opened clean = machine.connect(stored("dev", true));
  EXPECT_FALSE(clean.present);
  EXPECT_NE(clean.uid, uid);
  EXPECT_TRUE(clean.filters.empty());
  EXPECT_EQ(clean.progress, Progress{});
  machine.disconnect("dev", clean.uid, 3600);
  const Opened again = machine.resume("dev");
  EXPECT_EQ(again.uid, clean.uid);
  EXPECT_TRUE(again.filters.empty()) << "they were of the life before";
}

TEST(Sessions, ACleanStartThatStoresNothingRemovesAllDurably) {
  Machine machine(5);
  const Uid uid = machine.connect(stored("dev")).uid;
  machine.put_filter("dev", uid, some_filter());
  machine.disconnect("dev", uid, 3600);
  EXPECT_EQ(machine.connect({.client_id = "dev"}).uid, 0u);
  machine.restart_after_crash();
  EXPECT_FALSE(machine.resume("dev").present);
}

TEST(Sessions, ADisconnectWithoutExpiryRemovesAll) {
  Machine machine(6);
  const Uid uid = machine.connect(stored("dev")).uid;
  machine.put_filter("dev", uid, some_filter());
  machine.disconnect("dev", uid, 0);
  const Opened again = machine.resume("dev");
  EXPECT_FALSE(again.present);
  EXPECT_TRUE(again.filters.empty());
}

TEST(Sessions, AConnectSeesWhatWasPutBeforeIt) {
  Machine machine(7);
  const Uid uid = machine.connect(stored("dev")).uid;
  // All in one turn, so that nothing of it is durable yet.
  const auto again = machine.await<Opened>(0, [uid](Sessions& sessions, Done<Opened> done) {
    sessions.put_filter("dev", uid, some_filter(), [](const Result<void>&) {});
    sessions.save("dev", uid, some_progress(1), [](const Result<void>&) {});
    sessions.save("dev", uid, some_progress(2));
    sessions.connect(stored("dev"), std::move(done));
  });
  ASSERT_TRUE(again);
  EXPECT_EQ(again->filters, std::vector{some_filter()});
  EXPECT_EQ(again->progress, some_progress(2));
}

TEST(Sessions, ADisconnectIsSeenByTheConnectBehindIt) {
  Machine machine(8);
  const Uid uid = machine.connect(stored("dev")).uid;
  const auto again = machine.await<Opened>(1, [uid](Sessions& sessions, Done<Opened> done) {
    sessions.disconnect("dev", uid, 0, false, {}, [](const Result<void>&) {});
    sessions.connect(stored("dev"), std::move(done));
  });
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->present);
}

TEST(Sessions, WhatIsSavedBehindIsDurableSomeTimeLater) {
  Machine machine(9);
  const Uid uid = machine.connect(stored("dev")).uid;
  machine.backend.post({0}, [&] { machine.on(0).save("dev", uid, some_progress()); });
  machine.run_for(1s);
  machine.restart_after_crash();
  const Opened again = machine.resume("dev");
  EXPECT_TRUE(again.crashed);
  EXPECT_EQ(again.progress, some_progress());
}

TEST(Sessions, ACrashedSessionIsSaidToBeSoUntilItsClientIsBack) {
  Machine machine(10);
  const Uid uid = machine.connect(stored("dev")).uid;
  machine.restart_after_crash();
  machine.run_for(30s);  // the sweep has seen it
  machine.stop();
  machine.start(2);
  EXPECT_TRUE(machine.resume("dev").crashed);
  machine.disconnect("dev", uid, 3600);
  EXPECT_FALSE(machine.resume("dev").crashed);
}

TEST(Sessions, ARowThatCannotBeReadCountsAsNotThere) {
  Machine machine(11);
  const Uid uid = machine.connect(stored("dev")).uid;
  machine.put_filter("dev", uid, some_filter());
  machine.put_filter("dev", uid, some_filter("b"));
  machine.disconnect("dev", uid, 3600, false, some_progress());
  machine.stop();
  const std::uint32_t slot = slot_of_client("dev");
  const auto garble = [&](const std::string& key) {
    const Buffer rubbish(3, std::byte{0xee});
    const auto kept = machine.store->persisted("__sessions", slot);
    ASSERT_TRUE(kept && *kept);
    const table::SlotChange change{.slot = slot, .rows = {{key, Bytes(rubbish)}}, .fold = **kept};
    ASSERT_TRUE(machine.store->write("__sessions", {&change, 1}));
  };
  garble(filter_key("dev", "b"));
  machine.start(2);
  Opened again = machine.resume("dev");
  EXPECT_TRUE(again.present);
  EXPECT_EQ(again.filters, std::vector{some_filter()});
  EXPECT_EQ(machine.total("sluice_sessions_unreadable_rows_total"), 1);
  machine.disconnect("dev", uid, 3600);
  machine.stop();
  garble(meta_key("dev"));
  machine.start(2);
  again = machine.resume("dev");
  EXPECT_FALSE(again.present);
  EXPECT_NE(again.uid, uid);
}

TEST(Sessions, ATableThatFailsIsAnErrorWithItsReason) {
  Machine machine(12);
  const Uid uid = machine.connect(stored("dev")).uid;
  machine.disconnect("dev", uid, 3600);
  machine.stop();
  machine.start(2);
  machine.run_for(15s);  // nobody else reads
  machine.store->fail_next(1);
  const auto refused = machine.await<Opened>(0, [](Sessions& sessions, Done<Opened> done) {
    sessions.connect(stored("dev"), std::move(done));
  });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::io);
  EXPECT_EQ(machine.resume("dev").uid, uid) << "nothing was changed";
}

TEST(Sessions, TakeNoCallsOnceTheyHaveStopped) {
  Machine machine(13);
  for (std::uint32_t shard = 0; shard < 2; ++shard)
    EXPECT_TRUE(machine.await<void>(
        shard, [](Sessions& sessions, Done<void> done) { sessions.stop(std::move(done)); }));
  const auto refused = machine.await<Opened>(0, [](Sessions& sessions, Done<Opened> done) {
    sessions.connect(stored("dev"), std::move(done));
  });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::closed);
}

}  // namespace
}  // namespace sluice::sessions
