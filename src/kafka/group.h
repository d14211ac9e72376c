#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.h"
#include "kafka/describe_groups_messages.h"
#include "kafka/group_rows.h"
#include "kafka/heartbeat_messages.h"
#include "kafka/join_group_messages.h"
#include "kafka/offset_commit_messages.h"
#include "kafka/options.h"
#include "kafka/sync_group_messages.h"

namespace sluice::kafka {

// A join or sync that is answered later; chosen by the caller, never twice.
enum class Ticket : std::uint64_t {};

// What follows from an event: answers to tickets, in order, and a row to write.
struct GroupEffects {
  std::vector<std::pair<Ticket, JoinGroupResponse>> joins;
  std::vector<std::pair<Ticket, SyncGroupResponse>> syncs;
  // Write Group::row() as it is now, then tell on_stored() with this number.
  std::optional<std::uint64_t> store;
  bool rebalanced = false;  // a new generation began
};

struct GroupClock {
  runtime::TimePoint now;
  WallMs wall = 0;
};

// Who joins.
struct GroupPeer {
  std::string_view client_id;
  std::string_view client_host;
  std::int16_t version = 0;  // of the JoinGroup request
};

// One group of the classic consumer protocol: its members, their agreement on a generation, a
// protocol and a leader, and the assignment that the leader gives. Without IO and without a clock:
// events in, effects out. What the members say to each other (metadata, assignments) is opaque.
//
// Every ticket of join() and sync() is answered exactly once, unless cancel() takes it back. A wait
// ends by itself: for joins after the largest rebalance timeout of the members, for syncs after the
// same time again; who has not come by then is no member any more.
class Group {
 public:
  enum class State : std::uint8_t {
    empty,                 // no members; committed offsets may be there
    preparing_rebalance,   // members join
    completing_rebalance,  // the generation is made; the leader's assignment is awaited
    stable
  };

  Group(const GroupOptions& options, Random& ids) : options_(options), ids_(ids) {}
  // As it was stored: with members it is stable, and their sessions begin anew.
  Group(const GroupOptions& options, Random& ids, GroupRow row, const GroupClock& clock);

  // --- events
  void join(Ticket ticket, const JoinGroupRequest& request, const GroupPeer& peer,
            const GroupClock& clock, GroupEffects& out);
  void sync(Ticket ticket, const SyncGroupRequest& request, const GroupClock& clock,
            GroupEffects& out);
  ErrorCode heartbeat(const HeartbeatRequest& request, const GroupClock& clock);
  // An empty `member_id` stands for the static member of that instance.
  ErrorCode leave(std::string_view member_id, std::optional<std::string_view> instance_id,
                  const GroupClock& clock, GroupEffects& out);
  // Whoever waits for that ticket has gone: it is never answered, and its member's session runs.
  void cancel(Ticket ticket, const GroupClock& clock);
  void on_stored(std::uint64_t store, bool ok, const GroupClock& clock, GroupEffects& out);
  void on_time(const GroupClock& clock, GroupEffects& out);

  // Whether the sender of that commit may commit now; a member's commit is a sign of life.
  ErrorCode check_commit(const OffsetCommitRequest& request, const GroupClock& clock);

  // --- state
  // When on_time() is due at the latest.
  [[nodiscard]] runtime::TimePoint deadline() const { return deadline_; }
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] std::int32_t generation() const { return generation_; }
  [[nodiscard]] const std::string& protocol_type() const { return protocol_type_; }
  [[nodiscard]] std::size_t members() const { return members_.size(); }
  [[nodiscard]] WallMs empty_since() const { return empty_since_; }
  // What its members hold of memory.
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  // A member id was given out and will come back soon.
  [[nodiscard]] bool expects_members() const { return !invited_.empty(); }
  // Nobody has ever been a member or been given a member id.
  [[nodiscard]] bool unused() const;
  // Speaks the protocol of consumers, in which members name the topics that they read.
  [[nodiscard]] bool is_consumer_group() const { return protocol_type_ == "consumer"; }
  // The topics that members of a consumer group read, by the protocol they have agreed on; nothing
  // if that can't be told. Views into the members' metadata: good until the next event.
  [[nodiscard]] std::optional<std::set<std::string_view>> subscriptions() const;
  [[nodiscard]] GroupRow row() const;
  // All but the group's name.
  [[nodiscard]] DescribeGroupsResponse::Group describe() const;

 private:
  // The answer to a static member that came back while the group was stable: it is given when the
  // row with its new member id is stored.
  struct Return {
    std::uint64_t store = 0;
    std::string leader;  // as the answer names it
    bool skip_assignment = false;
  };
  struct Member {
    GroupRow::Member data;
    std::optional<Ticket> join;
    std::optional<Ticket> sync;
    std::optional<Return> returning;
    runtime::TimePoint session_end{};  // while it waits for nothing
    bool synced = false;               // has asked for its assignment of this generation
    [[nodiscard]] bool waits() const { return join || sync; }
  };
  using Members = std::map<std::string, Member, std::less<>>;
  struct Arrival {
    Ticket ticket;
    const JoinGroupRequest& request;
    const GroupPeer& peer;
    const GroupClock& clock;
    GroupEffects& out;
  };
  static constexpr runtime::TimePoint never = runtime::TimePoint::max();

  // group.cc: who is a member
  [[nodiscard]] ErrorCode check_join(const JoinGroupRequest& request) const;
  [[nodiscard]] bool supports(const JoinGroupRequest& request) const;
  [[nodiscard]] ErrorCode check_member(std::string_view member_id,
                                       std::optional<std::string_view> instance_id) const;
  std::string new_member_id(std::string_view prefix);
  void join_first(const Arrival& arrival);
  void join_again(Member& member, const Arrival& arrival);
  void add(std::string member_id, const Arrival& arrival);
  void replace(const std::string& member_id, const Arrival& arrival);
  void renew(Member& member, const Arrival& arrival);
  void remove(Members::iterator member, ErrorCode code, GroupEffects& out);
  void touch(Member& member, runtime::TimePoint now);
  static void refuse(Ticket ticket, ErrorCode code, std::string_view member_id, GroupEffects& out);

  // group_rebalance.cc: what they agree on
  void rebalance(const GroupClock& clock, GroupEffects& out);
  void prepare(const GroupClock& clock, GroupEffects& out);
  void try_complete_join(const GroupClock& clock, GroupEffects& out);
  void complete_join(const GroupClock& clock, GroupEffects& out);
  bool elect_leader();
  void become_empty(const GroupClock& clock, GroupEffects& out);
  void on_join_end(const GroupClock& clock, GroupEffects& out);
  void on_sync_end(const GroupClock& clock, GroupEffects& out);
  bool assign(const SyncGroupRequest& request);
  void set_assignment(Member& member, Bytes assignment);
  void answer_syncs(ErrorCode code, runtime::TimePoint now, GroupEffects& out);
  void end_sessions(const GroupClock& clock, GroupEffects& out);
  [[nodiscard]] runtime::Duration rebalance_timeout() const;
  [[nodiscard]] std::string choose_protocol() const;
  [[nodiscard]] JoinGroupResponse join_answer(const Member& member, bool with_members) const;
  [[nodiscard]] SyncGroupResponse sync_answer(const Member& member) const;
  void due_at(runtime::TimePoint when) { deadline_ = std::min(deadline_, when); }
  void compute_deadline();

  const GroupOptions& options_;
  Random& ids_;
  State state_ = State::empty;
  std::int32_t generation_ = 0;
  std::string protocol_type_;
  std::string protocol_;
  std::string leader_;
  WallMs empty_since_ = 0;
  Members members_;
  std::size_t bytes_ = 0;                                    // of all members
  std::map<std::string, std::string, std::less<>> statics_;  // instance id -> member id
  std::map<std::string, runtime::TimePoint, std::less<>>
      invited_;  // member ids that were given out and not used yet, until when

  runtime::TimePoint join_end_ = never;  // while preparing
  bool first_delay_ = false;             // join_end_ is that of the initial rebalance delay
  bool newcomer_ = false;                // somebody has joined since the delay began
  runtime::Duration first_delay_left_{};
  runtime::TimePoint sync_end_ = never;
  std::optional<std::uint64_t> assignment_store_;  // the leader's assignment is being stored
  std::uint64_t stores_ = 0;
  runtime::TimePoint deadline_ = never;
};

std::string_view to_string(Group::State state);  // as DescribeGroups names it

}  // namespace sluice::kafka
