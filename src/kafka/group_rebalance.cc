#include <algorithm>
#include <limits>

#include "kafka/group.h"

namespace sluice::kafka {

// --- joining: from the first reason for a new generation to the answers that begin it ---

void Group::rebalance(const GroupClock& clock, GroupEffects& out) {
  if (state_ == State::preparing_rebalance) return try_complete_join(clock, out);
  prepare(clock, out);
}

void Group::prepare(const GroupClock& clock, GroupEffects& out) {
  answer_syncs(ErrorCode::rebalance_in_progress, clock.now, out);
  for (auto& [id, member] : members_) member.returning.reset();
  assignment_store_.reset();
  sync_end_ = never;
  // The first members of a group come at about the same time: they are awaited for a while, so that
  // not each of them makes a generation.
  first_delay_ = state_ == State::empty && options_.initial_rebalance_delay.count() > 0;
  newcomer_ = false;
  state_ = State::preparing_rebalance;
  if (first_delay_) {
    first_delay_left_ =
        rebalance_timeout() - std::min(rebalance_timeout(), options_.initial_rebalance_delay);
    join_end_ = clock.now + options_.initial_rebalance_delay;
  } else {
    join_end_ = clock.now + rebalance_timeout();
  }
  due_at(join_end_);
  try_complete_join(clock, out);
}

void Group::try_complete_join(const GroupClock& clock, GroupEffects& out) {
  if (state_ != State::preparing_rebalance || first_delay_ || !invited_.empty()) return;
  if (std::ranges::all_of(members_, [](const auto& m) { return m.second.join.has_value(); }))
    complete_join(clock, out);
}

void Group::on_join_end(const GroupClock& clock, GroupEffects& out) {
  if (first_delay_ && newcomer_ && first_delay_left_.count() > 0) {
    const auto delay = std::min(options_.initial_rebalance_delay, first_delay_left_);
    first_delay_left_ -= delay;
    newcomer_ = false;
    join_end_ = clock.now + delay;
    return;
  }
  first_delay_ = false;
  complete_join(clock, out);
}

// Who has not joined is out, but for static members: they may be away for their session timeout.
void Group::complete_join(const GroupClock& clock, GroupEffects& out) {
  for (auto member = members_.begin(); member != members_.end();) {
    const auto current = member++;
    if (!current->second.join && !current->second.data.instance_id)
      remove(current, ErrorCode::unknown_member_id, out);
  }
  if (!members_.empty() && !elect_leader()) {
    // Static members only, and all away: they come back, or their sessions end.
    join_end_ = clock.now + rebalance_timeout();
    return due_at(join_end_);
  }
  generation_ = generation_ == std::numeric_limits<std::int32_t>::max() ? 1 : generation_ + 1;
  join_end_ = never;
  out.rebalanced = true;
  if (members_.empty()) return become_empty(clock, out);

  protocol_ = choose_protocol();
  state_ = State::completing_rebalance;
  sync_end_ = clock.now + rebalance_timeout();
  due_at(sync_end_);
  for (auto& [id, member] : members_) {
    member.synced = false;
    set_assignment(member, {});
    touch(member, clock.now);
  }
  for (auto& [id, member] : members_) {
    if (member.join)
      out.joins.emplace_back(*std::exchange(member.join, {}), join_answer(member, id == leader_));
  }
}

// The old leader stays if it has joined, else one who has takes its place. False: nobody has.
bool Group::elect_leader() {
  const auto leader = members_.find(leader_);
  if (leader != members_.end() && leader->second.join) return true;
  const auto joined =
      std::ranges::find_if(members_, [](const auto& m) { return m.second.join.has_value(); });
  if (joined == members_.end()) return false;
  leader_ = joined->first;
  return true;
}

void Group::become_empty(const GroupClock& clock, GroupEffects& out) {
  state_ = State::empty;
  protocol_.clear();
  leader_.clear();
  empty_since_ = clock.wall;
  out.store = ++stores_;
}

runtime::Duration Group::rebalance_timeout() const {
  std::int32_t longest = 0;
  for (const auto& [id, member] : members_)
    longest = std::max(longest, member.data.rebalance_timeout_ms);
  return std::chrono::milliseconds(longest);
}

// Of the protocols that all members know, the one that is the favourite of most; in a tie the one
// whose name comes first.
std::string Group::choose_protocol() const {
  std::map<std::string_view, std::size_t> known;
  for (const auto& [id, member] : members_)
    for (const auto& protocol : member.data.protocols) ++known[protocol.name];
  std::map<std::string_view, std::size_t> votes;
  for (const auto& [id, member] : members_) {
    const auto favourite = std::ranges::find_if(member.data.protocols, [&](const auto& protocol) {
      return known[protocol.name] >= members_.size();
    });
    if (favourite != member.data.protocols.end()) ++votes[favourite->name];
  }
  const auto chosen =
      std::ranges::max_element(votes, {}, [](const auto& vote) { return vote.second; });
  return chosen == votes.end() ? std::string() : std::string(chosen->first);
}

JoinGroupResponse Group::join_answer(const Member& member, bool with_members) const {
  JoinGroupResponse answer{.generation_id = generation_,
                           .protocol_type = protocol_type_,
                           .protocol_name = protocol_,
                           .leader = leader_,
                           .member_id = member.data.id};
  if (!with_members) return answer;
  for (const auto& [id, other] : members_) {
    const auto metadata =
        std::ranges::find(other.data.protocols, protocol_, &GroupRow::Protocol::name);
    answer.members.push_back(
        {id, other.data.instance_id,
         metadata == other.data.protocols.end() ? Buffer() : metadata->metadata});
  }
  return answer;
}

// --- syncing: the leader's assignment is stored, then given to all ---

void Group::sync(Ticket ticket, const SyncGroupRequest& request, const GroupClock& clock,
                 GroupEffects& out) {
  const auto refuse_sync = [&](ErrorCode code) {
    out.syncs.emplace_back(ticket, SyncGroupResponse{.error_code = code});
  };
  const ErrorCode code = check_member(request.member_id, request.group_instance_id);
  if (code != ErrorCode::none) return refuse_sync(code);
  if (request.generation_id != generation_) return refuse_sync(ErrorCode::illegal_generation);
  if (request.protocol_type.value_or(protocol_type_) != protocol_type_ ||
      request.protocol_name.value_or(protocol_) != protocol_)
    return refuse_sync(ErrorCode::inconsistent_group_protocol);
  if (state_ == State::preparing_rebalance) return refuse_sync(ErrorCode::rebalance_in_progress);

  Member& member = members_.find(request.member_id)->second;
  member.synced = true;
  if (state_ == State::stable) {
    touch(member, clock.now);
    out.syncs.emplace_back(ticket, sync_answer(member));
    return;
  }
  if (member.data.id == leader_ && !assignment_store_) {
    if (!assign(request)) return refuse_sync(ErrorCode::message_too_large);
    assignment_store_ = out.store = ++stores_;
  }
  if (const auto older = std::exchange(member.sync, ticket))
    out.syncs.emplace_back(*older,
                           SyncGroupResponse{.error_code = ErrorCode::rebalance_in_progress});
}

bool Group::assign(const SyncGroupRequest& request) {
  std::size_t sum = bytes_;
  for (const auto& given : request.assignments) sum += given.assignment.size();
  if (sum > options_.bytes_max) return false;
  for (const auto& given : request.assignments) {
    const auto member = members_.find(given.member_id);
    if (member == members_.end()) continue;
    set_assignment(member->second, given.assignment);
  }
  return true;
}

void Group::set_assignment(Member& member, Bytes assignment) {
  bytes_ -= member.data.assignment.size();
  bytes_ += assignment.size();
  member.data.assignment = Buffer(assignment.data(), assignment.data() + assignment.size());
}

SyncGroupResponse Group::sync_answer(const Member& member) const {
  return {.protocol_type = protocol_type_,
          .protocol_name = protocol_,
          .assignment = member.data.assignment};
}

void Group::answer_syncs(ErrorCode code, runtime::TimePoint now, GroupEffects& out) {
  for (auto& [id, member] : members_) {
    if (!member.sync) continue;
    touch(member, now);
    out.syncs.emplace_back(
        *std::exchange(member.sync, {}),
        code == ErrorCode::none ? sync_answer(member) : SyncGroupResponse{.error_code = code});
  }
}

void Group::on_stored(std::uint64_t store, bool ok, const GroupClock& clock, GroupEffects& out) {
  for (auto& [id, member] : members_) {
    if (!member.returning || member.returning->store > store) continue;
    const Return returning = *std::exchange(member.returning, {});
    touch(member, clock.now);
    auto answer = ok ? join_answer(member, returning.skip_assignment)
                     : JoinGroupResponse{.error_code = ErrorCode::coordinator_not_available};
    if (ok) {
      answer.leader = returning.leader;
      answer.skip_assignment = returning.skip_assignment;
    }
    out.joins.emplace_back(*std::exchange(member.join, {}), std::move(answer));
  }
  if (assignment_store_ != store) return;
  assignment_store_.reset();
  if (!ok) {
    answer_syncs(ErrorCode::coordinator_not_available, clock.now, out);
    return rebalance(clock, out);
  }
  state_ = State::stable;
  answer_syncs(ErrorCode::none, clock.now, out);
}

// --- time ---

void Group::on_time(const GroupClock& clock, GroupEffects& out) {
  end_sessions(clock, out);
  if (join_end_ <= clock.now) on_join_end(clock, out);
  if (sync_end_ <= clock.now) on_sync_end(clock, out);
  compute_deadline();
}

void Group::end_sessions(const GroupClock& clock, GroupEffects& out) {
  const std::size_t members_before = members_.size();
  for (auto member = members_.begin(); member != members_.end();) {
    const auto current = member++;
    if (!current->second.waits() && current->second.session_end <= clock.now)
      remove(current, ErrorCode::unknown_member_id, out);
  }
  std::erase_if(invited_, [&](const auto& invited) { return invited.second <= clock.now; });
  if (members_.size() < members_before) return rebalance(clock, out);
  try_complete_join(clock, out);
}

// Who has joined and then not asked for its assignment holds up the others no longer. If it is the
// leader, the others are told to join again.
void Group::on_sync_end(const GroupClock& clock, GroupEffects& out) {
  sync_end_ = never;
  const std::size_t members_before = members_.size();
  for (auto member = members_.begin(); member != members_.end();) {
    const auto current = member++;
    if (!current->second.synced) remove(current, ErrorCode::unknown_member_id, out);
  }
  if (members_.size() < members_before) rebalance(clock, out);
}

void Group::compute_deadline() {
  deadline_ = std::min(join_end_, sync_end_);
  for (const auto& [id, until] : invited_) due_at(until);
  for (const auto& [id, member] : members_)
    if (!member.waits()) due_at(member.session_end);
}

}  // namespace sluice::kafka
