#include "sessions/listing.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sessions/machine_test.h"

namespace sluice::sessions {
namespace {

using Ids = std::vector<std::string>;

using SessionPage = Page<Summary>;

SessionPage list(Machine& machine, const PageQuery& query) {
  auto page = machine.await<SessionPage>(0, [&](Sessions& sessions, Done<SessionPage> done) {
    sessions.list(query, std::move(done));
  });
  EXPECT_TRUE(page) << page.error().text;
  return page ? std::move(*page) : SessionPage{};
}

Ids ids_of(const SessionPage& page) {
  Ids ids;
  for (const Summary& summary : page.items) ids.push_back(summary.client_id);
  return ids;
}

Result<bool> remove(Machine& machine, const std::string& client_id) {
  return machine.await<bool>(
      1, [&](Sessions& sessions, Done<bool> done) { sessions.remove(client_id, std::move(done)); });
}

std::optional<Details> show(Machine& machine, const std::string& client_id) {
  auto found = machine.await<std::optional<Details>>(
      1, [&](Sessions& sessions, Done<std::optional<Details>> done) {
        sessions.show(client_id, std::move(done));
      });
  EXPECT_TRUE(found) << found.error().text;
  return found ? std::move(*found) : std::nullopt;
}

TEST(Listing, GivesPagesInTheOrderOfTheIdsOverAllShards) {
  Machine machine(1);
  Ids all;
  for (int i = 0; i < 50; ++i) {
    all.push_back("dev/" + std::to_string(i));
    machine.connect(stored(all.back()));
  }
  std::ranges::sort(all);
  Ids seen;
  PageQuery query{.limit = 7};
  while (true) {
    const SessionPage page = list(machine, query);
    const Ids ids = ids_of(page);
    ASSERT_FALSE(ids.empty());
    ASSERT_LE(ids.size(), query.limit);
    seen.insert(seen.end(), ids.begin(), ids.end());
    query.after = ids.back();
    if (!page.has_more) break;
  }
  EXPECT_EQ(seen, all);
  EXPECT_EQ(ids_of(list(machine, {.contains = "/1"})).size(), 11u);
  EXPECT_FALSE(list(machine, {.limit = 50}).has_more);
}

TEST(Listing, TellsWhoIsConnectedAndWhoIsGone) {
  Machine machine(2);
  machine.connect(stored("a"));
  const Uid uid = machine.connect(stored("b")).uid;
  machine.disconnect("b", uid, 60);
  const SessionPage page = list(machine, {});
  ASSERT_EQ(page.items.size(), 2u);
  EXPECT_TRUE(page.items[0].connected);
  EXPECT_FALSE(page.items[1].connected);
  EXPECT_EQ(page.items[1].uid, uid);
  EXPECT_EQ(page.items[1].left.expiry_s, 60u);
  EXPECT_LT(machine.wall_ms() - page.items[1].left.gone_at, 1000);
}

TEST(Listing, ShowsTheRowsOfASession) {
  Machine machine(3);
  const Uid uid = machine.connect(stored("a")).uid;
  machine.put_filter("a", uid, {.text = "x/#", .qos = 1});
  machine.save("a", uid, {.next_packet_id = 7});
  const auto details = show(machine, "a");
  ASSERT_TRUE(details);
  EXPECT_EQ(details->summary.uid, uid);
  ASSERT_EQ(details->filters.size(), 1u);
  EXPECT_EQ(details->filters[0].text, "x/#");
  EXPECT_EQ(details->progress.next_packet_id, 7u);
  EXPECT_FALSE(show(machine, "b"));
}

TEST(Listing, ASessionIsRemovedWhenItsClientIsNotConnected) {
  Machine machine(4);
  const Uid uid = machine.connect(stored("a")).uid;
  machine.put_filter("a", uid, {.text = "x/#", .qos = 1});
  const auto refused = remove(machine, "a");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::exists);
  machine.disconnect("a", uid, 60);
  EXPECT_EQ(remove(machine, "a"), true);
  EXPECT_EQ(remove(machine, "a"), false);
  EXPECT_FALSE(machine.resume("a").present);
}

TEST(Listing, ARemovedSessionsWillIsDueIfNobodyWasToldOfItYet) {
  Machine machine(5);
  Opening opening = stored("a");
  opening.will = Will{.topic = "gone", .delay_s = 1000};
  machine.connect(opening);
  machine.restart_after_crash();
  EXPECT_EQ(remove(machine, "a"), true);
  ASSERT_EQ(machine.wills.size(), 1u);
  EXPECT_LE(machine.wills[0].due, machine.wall_ms());
}

}  // namespace
}  // namespace sluice::sessions
