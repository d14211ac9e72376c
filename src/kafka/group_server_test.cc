// Groups as clients see them: through a connection, over shards, over restarts.

#include <gtest/gtest.h>

#include "kafka/sim_kafka_test.h"

namespace sluice::kafka {
namespace {

using namespace std::chrono_literals;

// A member that talks to one SimKafka, on connections of its own.
struct Member {
  Member(SimKafka& its_kafka, std::string its_group)
      : kafka(its_kafka), group(std::move(its_group)) {
    connect();
  }
  void connect() { client.emplace(kafka.connect()); }

  JoinGroupRequest join_request() const {
    return {.group_id = group,
            .session_timeout_ms = 10'000,
            .rebalance_timeout_ms = 30'000,
            .member_id = id,
            .protocol_type = "consumer",
            .protocols = {{"range", as_bytes(subscription)}}};
  }
  void begin_join() { client->send(ApiKey::join_group, 5, join_request()); }
  JoinGroupResponse end_join() {
    auto joined = client->receive<JoinGroupResponse>(ApiKey::join_group, 5);
    id = joined.member_id;
    generation = joined.generation_id;
    return joined;
  }
  ErrorCode sync(std::string_view assignment) {
    return client
        ->call<SyncGroupResponse>(ApiKey::sync_group, 5,
                                  SyncGroupRequest{.group_id = group,
                                                   .generation_id = generation,
                                                   .member_id = id,
                                                   .assignments = {{id, as_bytes(assignment)}}})
        .error_code;
  }
  // Asked again while the hub still reads its rows.
  ErrorCode heartbeat() {
    while (true) {
      const auto code = client
                            ->call<HeartbeatResponse>(ApiKey::heartbeat, 4,
                                                      HeartbeatRequest{group, generation, id, {}})
                            .error_code;
      if (code != ErrorCode::coordinator_load_in_progress) return code;
      kafka.world().run_for(10ms);
    }
  }
  ErrorCode commit(std::string_view topic, std::int64_t offset, std::string_view metadata = "") {
    const OffsetCommitRequest request{
        .group_id = group,
        .generation_id = generation,
        .member_id = id,
        .topics = {{topic, {{.committed_offset = offset, .committed_metadata = metadata}}}}};
    return client->call<OffsetCommitResponse>(ApiKey::offset_commit, 8, request)
        .topics.at(0)
        .partitions.at(0)
        .error_code;
  }
  // -1: nothing is committed.
  std::int64_t committed(std::string_view topic) {
    const OffsetFetchRequest request{
        .group_id = group, .topics = std::vector<OffsetFetchRequest::Topic>{{topic, {0}}}};
    return client->call<OffsetFetchResponse>(ApiKey::offset_fetch, 5, request)
        .topics.at(0)
        .partitions.at(0)
        .committed_offset;
  }
  void enter() {  // alone, up to its assignment
    begin_join();
    ASSERT_EQ(end_join().error_code, ErrorCode::member_id_required);
    begin_join();
    ASSERT_EQ(end_join().error_code, ErrorCode::none);
    ASSERT_EQ(sync("all"), ErrorCode::none);
  }
  ErrorCode leave() {
    return client
        ->call<LeaveGroupResponse>(
            ApiKey::leave_group, 4,
            LeaveGroupRequest{.group_id = group, .members = {{.member_id = id}}})
        .members.at(0)
        .error_code;
  }

  SimKafka& kafka;
  std::string group;
  std::optional<SimKafkaClient> client;
  std::string id;
  std::int32_t generation = -1;
  // Version 0, one topic "t", no user data.
  std::string subscription = std::string("\0\0\0\0\0\1\0\1t\377\377\377\377", 13);
};

// A hub that has read its rows.
struct Ready : SimKafka {
  explicit Ready(std::uint64_t seed, Options options = {}, std::uint32_t shards = 1)
      : SimKafka(seed, std::move(options), shards) {
    create("t");
    wait_until_loaded();
  }
  void wait_until_loaded() {
    auto client = connect();
    while (
        client.call<ListGroupsResponse>(ApiKey::list_groups, 4, ListGroupsRequest{}).error_code !=
        ErrorCode::none)
      world().run_for(10ms);
  }
};

// Names of groups whose home is the one and the other of two shards.
const std::vector<std::string> groups_of_two_shards{"a", "b", "c", "d", "e", "f"};

TEST(KafkaGroups, TellToComeAgainBeforeTheirRowsAreRead) {
  SimKafka kafka(1);
  Member member(kafka, "g");
  const auto code =
      member.client
          ->call<HeartbeatResponse>(ApiKey::heartbeat, 4, HeartbeatRequest{"g", 1, "m", {}})
          .error_code;
  EXPECT_EQ(code, ErrorCode::coordinator_load_in_progress);
}

TEST(KafkaGroups, AreServedOnEveryShardFromEveryShard) {
  Ready kafka(2, {}, 2);
  for (const auto& name : groups_of_two_shards) {
    Member member(kafka, name);
    member.enter();
    EXPECT_EQ(member.commit("t", 7), ErrorCode::none);
    EXPECT_EQ(member.committed("t"), 7);
    EXPECT_EQ(member.heartbeat(), ErrorCode::none);
  }
  auto tool = kafka.connect();
  const auto listed = tool.call<ListGroupsResponse>(ApiKey::list_groups, 5, ListGroupsRequest{});
  std::set<std::string> names;
  for (const auto& group : listed.groups) {
    names.insert(group.group_id);
    EXPECT_EQ(group.group_state, "Stable");
    EXPECT_EQ(group.group_type, "classic");
  }
  EXPECT_EQ(names, std::set(groups_of_two_shards.begin(), groups_of_two_shards.end()));

  DescribeGroupsRequest describe;
  for (const auto& name : groups_of_two_shards) describe.groups.push_back(name);
  describe.groups.push_back("nobody");
  const auto described =
      tool.call<DescribeGroupsResponse>(ApiKey::describe_groups, 6, describe).groups;
  ASSERT_EQ(described.size(), groups_of_two_shards.size() + 1);
  for (std::size_t i = 0; i < groups_of_two_shards.size(); ++i) {
    EXPECT_EQ(described[i].group_id, groups_of_two_shards[i]) << "in the order of the request";
    EXPECT_EQ(described[i].members.at(0).client_host, "/10.0.0.1");
    EXPECT_EQ(as_text(described[i].members.at(0).member_assignment), "all");
  }
  EXPECT_EQ(described.back().error_code, ErrorCode::group_id_not_found);
}

TEST(KafkaGroups, KeepCommitsMembersAndGenerationsOverACrash) {
  for (const std::uint32_t shards : {1u, 2u}) {
    Ready kafka(3, {}, shards);
    std::vector<Member> members;
    for (const auto& name : groups_of_two_shards) {
      members.emplace_back(kafka, name).enter();
      EXPECT_EQ(members.back().commit("t", 42), ErrorCode::none);
    }
    for (Member& member : members) member.client.reset();
    kafka.crash();
    for (Member& member : members) {
      member.connect();
      EXPECT_EQ(member.heartbeat(), ErrorCode::none) << "no rebalance";
      EXPECT_EQ(member.committed("t"), 42);
      EXPECT_EQ(member.commit("t", 43), ErrorCode::none) << "its generation goes on";
    }
    for (Member& member : members) member.client.reset();
    kafka.restart();
    for (Member& member : members) {
      member.connect();
      EXPECT_EQ(member.heartbeat(), ErrorCode::none);
      EXPECT_EQ(member.committed("t"), 43);
    }
  }
}

TEST(KafkaGroups, AnswerAJoinThatWaitsWhenTheOthersHaveComeAgain) {
  for (const auto& name : {"a", "b", "c"}) {
    Ready kafka(4, {}, 2);
    Member first(kafka, name);
    first.enter();
    Member second(kafka, name);
    second.begin_join();
    second.end_join();
    second.begin_join();
    kafka.world().run_for(2s);
    EXPECT_FALSE(second.client->has_response());
    EXPECT_EQ(first.heartbeat(), ErrorCode::rebalance_in_progress);
    first.begin_join();
    EXPECT_EQ(first.end_join().generation_id, 2);
    EXPECT_EQ(second.end_join().generation_id, 2);
  }
}

TEST(KafkaGroups, TakeAJoinBackWhenItsConnectionGoes) {
  Ready kafka(5, {}, 2);
  Member first(kafka, "a");
  first.enter();
  Member second(kafka, "a");
  second.begin_join();
  second.end_join();
  second.begin_join();
  kafka.world().run_for(1s);
  second.client->close();
  kafka.world().run_for(1s);
  first.begin_join();
  kafka.world().run_for(5s);
  EXPECT_FALSE(first.client->has_response())
      << "the second is a member as long as its session runs";
  kafka.world().run_for(6s);
  const auto joined = first.end_join();
  EXPECT_EQ(joined.error_code, ErrorCode::none);
  EXPECT_EQ(joined.members.size(), 1u);
}

TEST(KafkaGroups, HaveNoOffsetsBeforeOneIsCommitted) {
  Ready kafka(6);
  Member stranger(kafka, "nobody");
  EXPECT_EQ(stranger.committed("t"), -1);
  EXPECT_EQ(stranger.committed("no-such-topic"), -1);
  const auto all = stranger.client->call<OffsetFetchResponse>(
      ApiKey::offset_fetch, 8, OffsetFetchRequest{.groups = {{.group_id = "nobody"}}});
  EXPECT_EQ(all.groups.at(0).error_code, ErrorCode::none);
  EXPECT_TRUE(all.groups[0].topics.empty());
  const auto listed =
      stranger.client->call<ListGroupsResponse>(ApiKey::list_groups, 4, ListGroupsRequest{});
  EXPECT_TRUE(listed.groups.empty()) << "asking makes no group";
}

TEST(KafkaGroups, TakeCommitsWithoutAMemberAndRefuseBadOnes) {
  Ready kafka(7);
  Member tool(kafka, "g");
  EXPECT_EQ(tool.commit("t", 5, "where I am"), ErrorCode::none);
  EXPECT_EQ(tool.committed("t"), 5);
  EXPECT_EQ(tool.commit("t", 6, std::string(4097, 'x')), ErrorCode::offset_metadata_too_large);
  EXPECT_EQ(tool.commit("no-such-topic", 6), ErrorCode::unknown_topic_or_partition);
  EXPECT_EQ(tool.commit("__groups", 6), ErrorCode::none) << "a stream like others to read";
  tool.generation = 1;
  EXPECT_EQ(tool.commit("t", 6), ErrorCode::unknown_member_id);
  EXPECT_EQ(tool.committed("t"), 5);
  Member nameless(kafka, "");
  EXPECT_EQ(nameless.commit("t", 1), ErrorCode::invalid_group_id);
}

TEST(KafkaGroups, AreDeletedWhenTheyAreEmpty) {
  Ready kafka(8, {}, 2);
  Member member(kafka, "a");
  member.enter();
  member.commit("t", 5);
  const auto remove = [&] {
    return member.client
        ->call<DeleteGroupsResponse>(ApiKey::delete_groups, 2, DeleteGroupsRequest{{"a", "nobody"}})
        .results;
  };
  EXPECT_EQ(remove().at(0).error_code, ErrorCode::non_empty_group);
  EXPECT_EQ(member.leave(), ErrorCode::none);
  const auto removed = remove();
  EXPECT_EQ(removed.at(0).error_code, ErrorCode::none);
  EXPECT_EQ(removed.at(1).error_code, ErrorCode::group_id_not_found);
  member.client.reset();
  kafka.crash();
  kafka.wait_until_loaded();
  member.connect();
  EXPECT_EQ(member.committed("t"), -1);
}

TEST(KafkaGroups, LoseTheOffsetsOfATopicThatIsDeleted) {
  Ready kafka(9);
  kafka.create("gone");
  Member tool(kafka, "g");
  EXPECT_EQ(tool.commit("gone", 5), ErrorCode::none);
  EXPECT_EQ(tool.commit("t", 6), ErrorCode::none);
  tool.client->call<DeleteTopicsResponse>(ApiKey::delete_topics, 5,
                                          DeleteTopicsRequest{.topic_names = {"gone"}});
  kafka.create("gone");
  EXPECT_EQ(tool.committed("gone"), -1);
  EXPECT_EQ(tool.committed("t"), 6);
}

TEST(KafkaGroups, ForgetOffsetsWhenTheyHaveBeenEmptyForLong) {
  Options options;
  options.groups.offsets_retention = 1h;
  Ready kafka(10, options);
  Member member(kafka, "g");
  member.enter();
  EXPECT_EQ(member.commit("t", 5), ErrorCode::none);
  kafka.create("dropped");
  EXPECT_EQ(member.commit("dropped", 6), ErrorCode::none);
  const auto beat_for = [&](std::chrono::minutes time) {
    for (auto left = time; left > 0s; left -= 1min) {
      for (int i = 0; i < 12; ++i) {
        kafka.world().run_for(5s);
        ASSERT_EQ(member.heartbeat(), ErrorCode::none);
      }
    }
  };
  beat_for(50min);
  EXPECT_EQ(member.committed("dropped"), 6);
  beat_for(40min);
  EXPECT_EQ(member.committed("t"), 5) << "a group keeps what its members read";
  EXPECT_EQ(member.committed("dropped"), -1) << "and only that";
  member.leave();
  const auto committed = [&] {
    Member tool(kafka, "g");  // servers close connections that are silent for long
    return tool.committed("t");
  };
  kafka.world().run_for(50min);
  EXPECT_EQ(committed(), 5);
  kafka.world().run_for(30min);
  EXPECT_EQ(committed(), -1);
  auto tool = kafka.connect();
  EXPECT_TRUE(
      tool.call<ListGroupsResponse>(ApiKey::list_groups, 4, ListGroupsRequest{}).groups.empty());
}

TEST(KafkaGroups, DeleteOffsetsOfTopicsThatNobodyReads) {
  Ready kafka(11);
  Member tool(kafka, "g");
  EXPECT_EQ(tool.commit("t", 5), ErrorCode::none);
  const auto remove = [&] {
    return tool.client->call<OffsetDeleteResponse>(ApiKey::offset_delete, 0,
                                                   OffsetDeleteRequest{"g", {{"t", {{0}, {1}}}}});
  };
  const auto removed = remove();
  EXPECT_EQ(removed.error_code, ErrorCode::none);
  EXPECT_EQ(removed.topics.at(0).partitions.at(0).error_code, ErrorCode::none);
  EXPECT_EQ(tool.committed("t"), -1);
}

TEST(KafkaGroups, FindTheirCoordinatorHere) {
  SimKafka kafka(12);
  auto client = kafka.connect();
  const auto v0 = client.call<FindCoordinatorResponse>(ApiKey::find_coordinator, 0,
                                                       FindCoordinatorRequest{.key = "g"});
  EXPECT_EQ(v0.host, "10.0.0.1");
  EXPECT_EQ(v0.port, 9092);
  const auto v4 = client.call<FindCoordinatorResponse>(
      ApiKey::find_coordinator, 4, FindCoordinatorRequest{.coordinator_keys = {"g", "h"}});
  ASSERT_EQ(v4.coordinators.size(), 2u);
  EXPECT_EQ(v4.coordinators[1].key, "h");
  EXPECT_EQ(v4.coordinators[1].port, 9092);
  const auto transaction = client.call<FindCoordinatorResponse>(
      ApiKey::find_coordinator, 1, FindCoordinatorRequest{.key = "t", .key_type = 1});
  EXPECT_EQ(transaction.error_code, ErrorCode::unsupported_version);
}

}  // namespace
}  // namespace sluice::kafka
