#include "kafka/group_rig_test.h"

namespace sluice::kafka {
namespace {

using namespace std::chrono_literals;
using Joining = GroupRig::Joining;

std::string text(const Buffer& bytes) { return std::string(as_text(bytes)); }

// Two members of a stable group; the first leads.
struct Pair {
  explicit Pair(GroupRig& rig, const Joining& first = {}, const Joining& second = {}) {
    const auto alone = rig.settle_alone(first);
    const Ticket b = rig.join(second);
    EXPECT_EQ(rig.heartbeat(alone.member_id, alone.generation_id),
              ErrorCode::rebalance_in_progress);
    Joining again = first;
    again.member_id = alone.member_id;
    const Ticket a = rig.join(again);
    leader = rig.join_answer(a);
    follower = rig.join_answer(b);
    const Ticket waiting = rig.sync(follower.member_id, follower.generation_id);
    EXPECT_FALSE(rig.synced(waiting));
    rig.sync(leader.member_id, leader.generation_id,
             {{leader.member_id, "left"}, {follower.member_id, "right"}});
    EXPECT_FALSE(rig.synced(waiting)) << "the assignment is not stored yet";
    rig.store();
    EXPECT_EQ(text(rig.sync_answer(waiting).assignment), "right");
  }
  JoinGroupResponse leader;
  JoinGroupResponse follower;
};

TEST(Group, OfOneMemberIsStableAfterJoinAndSync) {
  GroupRig rig;
  const Ticket joining = rig.join({});
  const auto& joined = rig.join_answer(joining);
  EXPECT_EQ(joined.error_code, ErrorCode::none);
  EXPECT_EQ(joined.generation_id, 1);
  EXPECT_EQ(joined.leader, joined.member_id);
  EXPECT_EQ(joined.protocol_name, "range");
  EXPECT_TRUE(joined.member_id.starts_with("client-"));
  ASSERT_EQ(joined.members.size(), 1u);
  EXPECT_EQ(text(joined.members[0].metadata), "topics");

  const Ticket syncing = rig.sync(joined.member_id, 1, {{joined.member_id, "all"}});
  EXPECT_FALSE(rig.synced(syncing));
  rig.store();
  EXPECT_EQ(text(rig.sync_answer(syncing).assignment), "all");
  EXPECT_EQ(rig.group.state(), Group::State::stable);
  EXPECT_EQ(rig.heartbeat(joined.member_id, 1), ErrorCode::none);
}

TEST(Group, GivesAllMembersOneGenerationAndOnlyTheLeaderTheOthersMetadata) {
  GroupRig rig;
  const Pair pair(rig);
  EXPECT_EQ(pair.leader.generation_id, 2);
  EXPECT_EQ(pair.follower.generation_id, 2);
  EXPECT_EQ(pair.follower.leader, pair.leader.member_id);
  EXPECT_EQ(pair.leader.members.size(), 2u);
  EXPECT_TRUE(pair.follower.members.empty());
}

TEST(Group, AsksForAMemberIdFirstFromVersion4On) {
  GroupRig rig;
  const Ticket first = rig.join({.version = 4});
  const std::string id = rig.join_answer(first).member_id;
  EXPECT_EQ(rig.join_answer(first).error_code, ErrorCode::member_id_required);
  EXPECT_EQ(rig.group.members(), 0u);
  const Ticket second = rig.join({.member_id = id, .version = 4});
  EXPECT_EQ(rig.join_answer(second).error_code, ErrorCode::none);
  EXPECT_EQ(rig.join_answer(second).member_id, id);
}

TEST(Group, ForgetsAMemberIdThatIsNotUsedWithinTheSessionTimeout) {
  GroupRig rig;
  const Ticket first = rig.join({.version = 4});
  EXPECT_FALSE(rig.group.unused());
  rig.wait(10s);
  EXPECT_TRUE(rig.group.unused());
  const Ticket late = rig.join({.member_id = rig.join_answer(first).member_id, .version = 4});
  EXPECT_EQ(rig.join_answer(late).error_code, ErrorCode::unknown_member_id);
}

TEST(Group, WaitsForTheFirstMembersAsLongAsItIsTold) {
  GroupRig rig({.initial_rebalance_delay = 3s});
  const Ticket a = rig.join({});
  rig.wait(2s);
  const Ticket b = rig.join({});
  EXPECT_FALSE(rig.joined(a));
  rig.wait(2s);
  EXPECT_FALSE(rig.joined(a)) << "a newcomer makes the delay begin again";
  rig.wait(2s);
  ASSERT_TRUE(rig.joined(a) && rig.joined(b));
  EXPECT_EQ(rig.join_answer(a).generation_id, 1);
  EXPECT_EQ(rig.join_answer(b).generation_id, 1);
}

TEST(Group, PutsOffTheFirstGenerationNoLongerThanTheRebalanceTimeout) {
  GroupRig rig({.initial_rebalance_delay = 3s});
  const Ticket first = rig.join({.rebalance_ms = 10'000});
  for (int i = 0; i < 10 && !rig.joined(first); ++i) {
    rig.join({.rebalance_ms = 10'000});
    rig.wait(1s);
  }
  EXPECT_TRUE(rig.joined(first));
}

TEST(Group, ChoosesTheFavouriteOfMostAmongTheProtocolsThatAllKnow) {
  GroupRig rig({.initial_rebalance_delay = 3s});
  const Ticket a = rig.join({.protocols = {{"only-a", "1"}, {"sticky", "2"}, {"range", "3"}}});
  const Ticket b = rig.join({.protocols = {{"range", "4"}, {"sticky", "5"}}});
  const Ticket c = rig.join({.protocols = {{"range", "6"}, {"sticky", "7"}}});
  rig.wait(6s);
  for (const Ticket ticket : {a, b, c}) EXPECT_EQ(rig.join_answer(ticket).protocol_name, "range");
  std::set<std::string> metadata;
  for (const auto& member : rig.join_answer(a).members) metadata.insert(text(member.metadata));
  EXPECT_EQ(metadata, (std::set<std::string>{"3", "4", "6"}));
}

TEST(Group, RefusesAMemberThatSharesNoProtocol) {
  GroupRig rig;
  rig.settle_alone({});
  const Ticket other = rig.join({.protocols = {{"sticky", ""}}});
  EXPECT_EQ(rig.join_answer(other).error_code, ErrorCode::inconsistent_group_protocol);
  EXPECT_EQ(rig.group.state(), Group::State::stable) << "the others are not disturbed";
  const Ticket none = rig.join({.protocols = {}});
  EXPECT_EQ(rig.join_answer(none).error_code, ErrorCode::inconsistent_group_protocol);
}

TEST(Group, RefusesSessionTimeoutsOutsideItsBounds) {
  GroupRig rig;
  for (const int session_ms : {5'999, 30 * 60'000 + 1, -1}) {
    const Ticket ticket = rig.join({.session_ms = session_ms});
    EXPECT_EQ(rig.join_answer(ticket).error_code, ErrorCode::invalid_session_timeout);
  }
  EXPECT_TRUE(rig.group.unused());
}

TEST(Group, RefusesMoreMembersThanItMayHave) {
  GroupRig rig({.members_max = 2});
  const Pair pair(rig);
  const Ticket third = rig.join({});
  EXPECT_EQ(rig.join_answer(third).error_code, ErrorCode::group_max_size_reached);
  EXPECT_EQ(rig.heartbeat(pair.leader.member_id, 2), ErrorCode::none);
}

TEST(Group, RefusesMetadataBeyondItsBytes) {
  GroupRig rig({.bytes_max = 4096});
  const Ticket large = rig.join({.protocols = {{"range", std::string(5000, 'x')}}});
  EXPECT_EQ(rig.join_answer(large).error_code, ErrorCode::group_max_size_reached);
  const Ticket fits = rig.join({});
  const auto& joined = rig.join_answer(fits);
  const Ticket sync = rig.sync(joined.member_id, 1, {{joined.member_id, std::string(5000, 'x')}});
  EXPECT_EQ(rig.sync_answer(sync).error_code, ErrorCode::message_too_large);
}

TEST(Group, DropsWhoDoesNotRejoinWithinTheRebalanceTimeout) {
  GroupRig rig;
  const auto silent = rig.settle_alone({.session_ms = 120'000, .rebalance_ms = 20'000});
  const Ticket b = rig.join({.rebalance_ms = 5'000});
  rig.wait(19s);
  EXPECT_FALSE(rig.joined(b));
  rig.wait(1s);
  ASSERT_TRUE(rig.joined(b));
  EXPECT_EQ(rig.join_answer(b).leader, rig.join_answer(b).member_id);
  EXPECT_EQ(rig.heartbeat(silent.member_id, 1), ErrorCode::unknown_member_id);
}

TEST(Group, DropsWhoDoesNotBeatWithinTheSessionTimeout) {
  GroupRig rig;
  const Pair pair(rig);
  for (int i = 0; i < 4; ++i) {
    rig.wait(3s);
    const auto code = rig.heartbeat(pair.leader.member_id, 2);
    EXPECT_EQ(code, i < 3 ? ErrorCode::none : ErrorCode::rebalance_in_progress) << i;
  }
  EXPECT_EQ(rig.heartbeat(pair.follower.member_id, 2), ErrorCode::unknown_member_id);
}

TEST(Group, DropsALeaderThatNeverSyncsAndTellsTheOthersToJoinAgain) {
  GroupRig rig({.initial_rebalance_delay = 1s});
  const Ticket a = rig.join({.rebalance_ms = 30'000});
  const Ticket b = rig.join({.rebalance_ms = 30'000});
  rig.wait(2s);
  const auto leader = rig.join_answer(a).leader;
  const auto follower = rig.join_answer(rig.join_answer(a).member_id == leader ? b : a).member_id;
  const Ticket waiting = rig.sync(follower, 1);
  for (int i = 0; i < 10; ++i) {
    rig.wait(3s);
    rig.heartbeat(leader, 1);  // alive, but of no use
  }
  ASSERT_TRUE(rig.synced(waiting));
  EXPECT_EQ(rig.sync_answer(waiting).error_code, ErrorCode::rebalance_in_progress);
  EXPECT_EQ(rig.heartbeat(leader, 1), ErrorCode::unknown_member_id);
  const Ticket again = rig.join({.member_id = follower});
  EXPECT_EQ(rig.join_answer(again).leader, follower);
  EXPECT_EQ(rig.join_answer(again).generation_id, 2);
}

TEST(Group, RebalancesWhenTheLeaderOrChangedMetadataJoins) {
  GroupRig rig;
  const Pair pair(rig);
  const Ticket same = rig.join({.member_id = pair.follower.member_id});
  ASSERT_TRUE(rig.joined(same)) << "a follower that says nothing new changes nothing";
  EXPECT_EQ(rig.join_answer(same).generation_id, 2);
  const Ticket changed =
      rig.join({.member_id = pair.follower.member_id, .protocols = {{"range", "other topics"}}});
  EXPECT_FALSE(rig.joined(changed));
  const Ticket leader = rig.join({.member_id = pair.leader.member_id});
  EXPECT_EQ(rig.join_answer(changed).generation_id, 3);
  EXPECT_EQ(rig.join_answer(leader).generation_id, 3);

  GroupRig other;
  const Pair second(other);
  EXPECT_FALSE(other.joined(other.join({.member_id = second.leader.member_id})));
}

TEST(Group, RefusesOldGenerationsAndStrangers) {
  GroupRig rig;
  const Pair pair(rig);
  EXPECT_EQ(rig.heartbeat(pair.leader.member_id, 1), ErrorCode::illegal_generation);
  EXPECT_EQ(rig.heartbeat("stranger", 2), ErrorCode::unknown_member_id);
  EXPECT_EQ(rig.sync_answer(rig.sync(pair.leader.member_id, 1)).error_code,
            ErrorCode::illegal_generation);
  EXPECT_EQ(rig.sync_answer(rig.sync("stranger", 2)).error_code, ErrorCode::unknown_member_id);
  EXPECT_EQ(rig.join_answer(rig.join({.member_id = "stranger"})).error_code,
            ErrorCode::unknown_member_id);
  EXPECT_EQ(rig.leave("stranger"), ErrorCode::unknown_member_id);
}

TEST(Group, TakesCommitsOfItsMembersAndOfAnybodyWhileItIsEmpty) {
  GroupRig rig;
  EXPECT_EQ(rig.check_commit("", -1), ErrorCode::none);
  const auto joined = rig.join_answer(rig.join({}));
  EXPECT_EQ(rig.check_commit(joined.member_id, 1), ErrorCode::rebalance_in_progress)
      << "not before it has its assignment";
  rig.sync(joined.member_id, 1);
  rig.store();
  EXPECT_EQ(rig.check_commit(joined.member_id, 1), ErrorCode::none);
  EXPECT_EQ(rig.check_commit(joined.member_id, 0), ErrorCode::illegal_generation);
  EXPECT_EQ(rig.check_commit("", -1), ErrorCode::unknown_member_id);
  EXPECT_EQ(rig.leave(joined.member_id), ErrorCode::none);
  EXPECT_EQ(rig.check_commit("", -1), ErrorCode::none);
}

TEST(Group, RebalancesWhenAMemberLeavesAndIsEmptyAfterTheLast) {
  GroupRig rig;
  const Pair pair(rig);
  EXPECT_EQ(rig.leave(pair.leader.member_id), ErrorCode::none);
  EXPECT_EQ(rig.heartbeat(pair.follower.member_id, 2), ErrorCode::rebalance_in_progress);
  EXPECT_EQ(rig.leave(pair.follower.member_id), ErrorCode::none);
  EXPECT_EQ(rig.group.state(), Group::State::empty);
  EXPECT_EQ(rig.storing.size(), 1u) << "that it is empty is stored";
  EXPECT_EQ(rig.group.row().empty_since, rig.clock().wall);
}

TEST(Group, GivesNobodyAnAssignmentThatCouldNotBeStored) {
  GroupRig rig;
  const auto joined = rig.join_answer(rig.join({}));
  const Ticket sync = rig.sync(joined.member_id, 1, {{joined.member_id, "all"}});
  rig.store(false);
  EXPECT_EQ(rig.sync_answer(sync).error_code, ErrorCode::coordinator_not_available);
  EXPECT_EQ(rig.heartbeat(joined.member_id, 1), ErrorCode::rebalance_in_progress);
}

TEST(Group, DoesNotAnswerWhoHasGoneAndEndsItsSession) {
  GroupRig rig;
  const Pair pair(rig);
  const Ticket gone =
      rig.join({.member_id = pair.follower.member_id, .protocols = {{"range", "other"}}});
  rig.cancel(gone);
  const Ticket leader = rig.join({.member_id = pair.leader.member_id});
  EXPECT_FALSE(rig.joined(leader)) << "the one who went may come back within its session";
  rig.wait(10s);
  EXPECT_EQ(rig.join_answer(leader).generation_id, 3);
  EXPECT_FALSE(rig.joined(gone));
  EXPECT_EQ(rig.group.members(), 1u);
}

// --- static members (KIP-345) ---

TEST(Group, KeepsTheGenerationWhenAStaticMemberComesBack) {
  GroupRig rig;
  const Joining first{.instance = "a", .session_ms = 60'000, .version = 9};
  const Joining second{.instance = "b", .session_ms = 60'000, .version = 9};
  const Pair pair(rig, first, second);
  rig.wait(30s);
  const Ticket back = rig.join(second);
  EXPECT_FALSE(rig.joined(back)) << "its new member id is not stored yet";
  rig.store();
  const auto& answer = rig.join_answer(back);
  EXPECT_EQ(answer.generation_id, 2);
  EXPECT_NE(answer.member_id, pair.follower.member_id);
  EXPECT_FALSE(answer.skip_assignment) << "it does not lead";
  const Ticket sync = rig.sync(answer.member_id, 2, {}, "b");
  EXPECT_EQ(text(rig.sync_answer(sync).assignment), "right");
  EXPECT_EQ(rig.heartbeat(pair.follower.member_id, 2, "b"), ErrorCode::fenced_instance_id);
  EXPECT_EQ(rig.heartbeat(pair.leader.member_id, 2, "a"), ErrorCode::none);
}

TEST(Group, TellsAStaticLeaderThatComesBackToLeaveTheAssignmentAlone) {
  for (const std::int16_t version : {std::int16_t{5}, std::int16_t{9}}) {
    GroupRig rig;
    const Joining first{.instance = "a", .version = version};
    const Pair pair(rig, first, {.instance = "b", .version = version});
    const Ticket back = rig.join(first);
    rig.store();
    const auto& answer = rig.join_answer(back);
    EXPECT_EQ(answer.generation_id, 2);
    EXPECT_EQ(answer.skip_assignment, version == 9);
    EXPECT_EQ(answer.members.size(), version == 9 ? 2u : 0u);
    EXPECT_EQ(answer.leader == answer.member_id, version == 9)
        << "an old client would assign anew if it led";
    const Ticket sync = rig.sync(answer.member_id, 2, {}, "a");
    EXPECT_EQ(text(rig.sync_answer(sync).assignment), "left");
  }
}

TEST(Group, EndsTheWaitOfAFencedMember) {
  GroupRig rig({.initial_rebalance_delay = 3s});
  const Ticket older = rig.join({.instance = "a", .version = 5});
  const Ticket newer = rig.join({.instance = "a", .version = 5});
  EXPECT_EQ(rig.join_answer(older).error_code, ErrorCode::fenced_instance_id);
  rig.wait(6s);
  EXPECT_EQ(rig.join_answer(newer).error_code, ErrorCode::none);
  EXPECT_EQ(rig.group.members(), 1u);
}

TEST(Group, KeepsAStaticMemberThatIsAwayThroughARebalance) {
  GroupRig rig;
  const Pair pair(rig, {.session_ms = 300'000, .rebalance_ms = 20'000},
                  {.instance = "b", .session_ms = 300'000, .rebalance_ms = 20'000, .version = 5});
  const Ticket leader =
      rig.join({.member_id = pair.leader.member_id, .session_ms = 300'000, .rebalance_ms = 20'000});
  rig.wait(20s);
  ASSERT_TRUE(rig.joined(leader));
  EXPECT_EQ(rig.join_answer(leader).members.size(), 2u) << "b gets its share though it is away";
}

TEST(Group, LetsAStaticMemberBeRemovedByItsInstance) {
  GroupRig rig;
  const Pair pair(rig, {}, {.instance = "b", .version = 5});
  EXPECT_EQ(rig.leave("", "c"), ErrorCode::unknown_member_id);
  EXPECT_EQ(rig.leave(pair.leader.member_id, "b"), ErrorCode::fenced_instance_id);
  EXPECT_EQ(rig.leave("", "b"), ErrorCode::none);
  EXPECT_EQ(rig.group.members(), 1u);
}

// --- over a restart ---

TEST(Group, GoesOnAfterARestartAsItWasStored) {
  GroupRig rig;
  const Pair pair(rig);
  const auto bytes = encode_row(rig.group.row());
  Group again(rig.options, rig.ids, decode_group_row(bytes).value(), rig.clock());
  EXPECT_EQ(again.row(), rig.group.row());
  EXPECT_EQ(again.state(), Group::State::stable);
  const auto beat = [&](std::string_view member) {
    return again.heartbeat({"g", 2, member, {}}, rig.clock());
  };
  EXPECT_EQ(beat(pair.leader.member_id), ErrorCode::none);
  EXPECT_EQ(beat(pair.follower.member_id), ErrorCode::none);
  GroupEffects out;
  rig.now += 10s;
  again.on_time(rig.clock(), out);
  EXPECT_EQ(beat(pair.leader.member_id), ErrorCode::unknown_member_id)
      << "a restart does not make sessions endless";
}

TEST(Group, KnowsWhichTopicsItsMembersRead) {
  GroupRig rig;
  // Version 0, one topic "t", no user data.
  const std::string subscription("\0\0\0\0\0\1\0\1t\377\377\377\377", 13);
  rig.settle_alone({.protocols = {{"range", subscription}}});
  EXPECT_TRUE(rig.group.is_consumer_group());
  EXPECT_EQ(rig.group.subscriptions(), std::set<std::string_view>{"t"});
  GroupRig other;
  other.settle_alone({.protocols = {{"range", "?"}}});
  EXPECT_FALSE(other.group.subscriptions()) << "who can't be read may read anything";
}

}  // namespace
}  // namespace sluice::kafka
