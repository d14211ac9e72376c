#pragma once

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kafka/group.h"

namespace sluice::kafka {

// A group and whoever talks to it, on a clock of its own. Rows are stored when store() is called.
class GroupRig {
 public:
  explicit GroupRig(GroupOptions group_options = {}, std::uint64_t seed = 1)
      : options(group_options), ids(seed), group(options, ids) {}

  struct Joining {
    std::string member_id{};
    std::optional<std::string> instance{};
    std::vector<std::pair<std::string, std::string>> protocols{{"range", "topics"}};
    int session_ms = 10'000;
    int rebalance_ms = 60'000;
    std::int16_t version = 3;  // a member id is not asked for first
  };

  Ticket join(const Joining& who) {
    JoinGroupRequest request{.group_id = "g",
                             .session_timeout_ms = who.session_ms,
                             .rebalance_timeout_ms = who.rebalance_ms,
                             .member_id = who.member_id,
                             .protocol_type = "consumer"};
    if (who.instance) request.group_instance_id = *who.instance;
    for (const auto& [name, metadata] : who.protocols)
      request.protocols.push_back({name, as_bytes(metadata)});
    const Ticket ticket{++tickets_};
    apply([&](GroupEffects& out) {
      group.join(ticket, request, {"client", "/10.0.0.1", who.version}, clock(), out);
    });
    return ticket;
  }

  Ticket sync(std::string_view member_id, std::int32_t generation,
              const std::map<std::string, std::string>& assignments = {},
              std::optional<std::string_view> instance = {}) {
    SyncGroupRequest request{.group_id = "g",
                             .generation_id = generation,
                             .member_id = member_id,
                             .group_instance_id = instance};
    for (const auto& [member, assignment] : assignments)
      request.assignments.push_back({member, as_bytes(assignment)});
    const Ticket ticket{++tickets_};
    apply([&](GroupEffects& out) { group.sync(ticket, request, clock(), out); });
    return ticket;
  }

  ErrorCode heartbeat(std::string_view member_id, std::int32_t generation,
                      std::optional<std::string_view> instance = {}) {
    return group.heartbeat({"g", generation, member_id, instance}, clock());
  }
  ErrorCode leave(std::string_view member_id, std::optional<std::string_view> instance = {}) {
    ErrorCode code{};
    apply([&](GroupEffects& out) { code = group.leave(member_id, instance, clock(), out); });
    return code;
  }
  ErrorCode check_commit(std::string_view member_id, std::int32_t generation) {
    return group.check_commit({.generation_id = generation, .member_id = member_id}, clock());
  }
  void cancel(Ticket ticket) { group.cancel(ticket, clock()); }

  // The rows that were to be written are.
  void store(bool ok = true) {
    for (const std::uint64_t number : std::exchange(storing, {}))
      apply([&](GroupEffects& out) { group.on_stored(number, ok, clock(), out); });
  }

  // Time passes; the group is called when it wants to be.
  void wait(std::chrono::milliseconds time) {
    const auto end = now + time;
    while (group.deadline() <= end) {
      now = std::max(now, group.deadline());
      apply([&](GroupEffects& out) { group.on_time(clock(), out); });
      ASSERT_GT(group.deadline(), now) << "a group must not ask for the past";
    }
    now = end;
  }

  [[nodiscard]] bool joined(Ticket ticket) const { return joins.contains(ticket); }
  [[nodiscard]] bool synced(Ticket ticket) const { return syncs.contains(ticket); }
  const JoinGroupResponse& join_answer(Ticket ticket) const { return joins.at(ticket); }
  const SyncGroupResponse& sync_answer(Ticket ticket) const { return syncs.at(ticket); }

  [[nodiscard]] GroupClock clock() const {
    return {now,
            std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count()};
  }

  // A member that is alone: joined, synced, stored.
  JoinGroupResponse settle_alone(const Joining& who) {
    const Ticket ticket = join(who);
    const JoinGroupResponse answer = join_answer(ticket);
    sync(answer.member_id, answer.generation_id, {{answer.member_id, "all"}});
    store();
    return answer;
  }

  GroupOptions options;
  Random ids;
  Group group;
  runtime::TimePoint now{std::chrono::hours(1)};
  std::vector<std::uint64_t> storing;
  std::map<Ticket, JoinGroupResponse> joins;
  std::map<Ticket, SyncGroupResponse> syncs;
  int rebalances = 0;

 private:
  template <class Event>
  void apply(Event event) {
    GroupEffects out;
    event(out);
    for (auto& [ticket, answer] : out.joins)
      EXPECT_TRUE(joins.emplace(ticket, std::move(answer)).second) << "answered twice";
    for (auto& [ticket, answer] : out.syncs)
      EXPECT_TRUE(syncs.emplace(ticket, std::move(answer)).second) << "answered twice";
    if (out.store) storing.push_back(*out.store);
    rebalances += out.rebalanced ? 1 : 0;
  }

  std::uint64_t tickets_ = 0;
};

}  // namespace sluice::kafka
