#include "kafka/group.h"

#include <algorithm>

#include "base/assert.h"

namespace sluice::kafka {

namespace {

constexpr std::int16_t id_first_since = 4;          // KIP-394
constexpr std::int16_t skips_assignment_since = 9;  // KIP-814
constexpr std::size_t member_id_prefix_max = 255;   // of what the client calls itself
constexpr std::size_t bytes_per_entry = 256;  // what a member or a protocol costs beside its text
constexpr std::int32_t rebalance_timeout_max_ms = 24 * 60 * 60 * 1000;

std::vector<GroupRow::Protocol> protocols_of(const JoinGroupRequest& request) {
  std::vector<GroupRow::Protocol> out;
  out.reserve(request.protocols.size());
  for (const auto& [name, metadata] : request.protocols)
    out.push_back({std::string(name), Buffer(metadata.data(), metadata.data() + metadata.size())});
  return out;
}

// Adds the topics of a ConsumerProtocolSubscription (any version: they come first); false if it
// can't be read.
bool read_subscription(Bytes metadata, std::set<std::string_view>& topics) {
  Reader in(metadata);
  in.read<std::int16_t>();  // the version
  for (auto left = in.read<std::int32_t>(); left > 0 && in.ok(); --left) {
    const auto size = in.read<std::int16_t>();
    topics.insert(as_text(in.take(static_cast<std::size_t>(std::max<std::int16_t>(size, 0)))));
  }
  return in.ok();
}

bool same_protocols(const std::vector<GroupRow::Protocol>& known, const JoinGroupRequest& request) {
  return std::ranges::equal(known, request.protocols, [](const auto& a, const auto& b) {
    return a.name == b.name && std::ranges::equal(a.metadata, b.metadata);
  });
}

std::size_t bytes_of(const JoinGroupRequest& request) {
  std::size_t sum = bytes_per_entry + request.group_instance_id.value_or("").size();
  for (const auto& [name, metadata] : request.protocols)
    sum += bytes_per_entry + name.size() + metadata.size();
  return sum;
}

std::size_t bytes_of(const GroupRow::Member& member) {
  std::size_t sum = bytes_per_entry + member.assignment.size() + member.client_id.size();
  if (member.instance_id) sum += member.instance_id->size();
  for (const auto& [name, metadata] : member.protocols)
    sum += bytes_per_entry + name.size() + metadata.size();
  return sum;
}

std::optional<std::string> text_of(std::optional<std::string_view> view) {
  if (!view) return std::nullopt;
  return std::string(*view);
}

}  // namespace

std::string_view to_string(Group::State state) {
  switch (state) {
    case Group::State::empty:
      return "Empty";
    case Group::State::preparing_rebalance:
      return "PreparingRebalance";
    case Group::State::completing_rebalance:
      return "CompletingRebalance";
    case Group::State::stable:
      return "Stable";
  }
  assertion_failed("a state of a group", __FILE__, __LINE__);
}

Group::Group(const GroupOptions& options, Random& ids, GroupRow row, const GroupClock& clock)
    : options_(options),
      ids_(ids),
      state_(row.members.empty() ? State::empty : State::stable),
      generation_(row.generation),
      protocol_type_(std::move(row.protocol_type)),
      protocol_(std::move(row.protocol)),
      leader_(std::move(row.leader)),
      empty_since_(row.empty_since) {
  for (GroupRow::Member& stored : row.members) {
    if (stored.instance_id) statics_[*stored.instance_id] = stored.id;
    std::string id = stored.id;
    Member& member = members_[std::move(id)];
    member.data = std::move(stored);
    member.synced = true;
    bytes_ += bytes_of(member.data);
    touch(member, clock.now);
  }
}

// --- joining ---

void Group::join(Ticket ticket, const JoinGroupRequest& request, const GroupPeer& peer,
                 const GroupClock& clock, GroupEffects& out) {
  if (const ErrorCode code = check_join(request); code != ErrorCode::none)
    return refuse(ticket, code, request.member_id, out);
  const Arrival arrival{ticket, request, peer, clock, out};
  if (request.member_id.empty()) {
    join_first(arrival);
  } else if (const auto invited = invited_.find(request.member_id); invited != invited_.end()) {
    invited_.erase(invited);
    add(std::string(request.member_id), arrival);
  } else {
    join_again(members_.find(request.member_id)->second, arrival);
  }
}

ErrorCode Group::check_join(const JoinGroupRequest& request) const {
  const auto session_timeout = std::chrono::milliseconds(request.session_timeout_ms);
  if (session_timeout < options_.session_timeout_min ||
      session_timeout > options_.session_timeout_max)
    return ErrorCode::invalid_session_timeout;

  const auto known = members_.find(request.member_id);
  const bool is_member = known != members_.end();
  const bool invited = invited_.contains(request.member_id);
  const auto instance = request.group_instance_id;
  const bool returns = request.member_id.empty() && instance && statics_.contains(*instance);
  if (!request.member_id.empty() && !invited) {
    const ErrorCode code = check_member(request.member_id, instance);
    if (code != ErrorCode::none) return code;
  }
  if (!is_member && !invited && !returns &&
      members_.size() + invited_.size() >= options_.members_max)
    return ErrorCode::group_max_size_reached;
  const std::size_t freed = is_member ? bytes_of(known->second.data) : 0;
  if (bytes_ - freed + bytes_of(request) > options_.bytes_max)
    return ErrorCode::group_max_size_reached;
  return supports(request) ? ErrorCode::none : ErrorCode::inconsistent_group_protocol;
}

// Whether there is still a protocol that all know. What the one who joins said before does not
// count.
bool Group::supports(const JoinGroupRequest& request) const {
  if (request.protocol_type.empty() || request.protocols.empty()) return false;
  const auto all_others = [&](auto holds) {
    return std::ranges::all_of(members_, [&](const auto& entry) {
      const GroupRow::Member& member = entry.second.data;
      const bool replaced = member.id == request.member_id ||
                            (member.instance_id && member.instance_id == request.group_instance_id);
      return replaced || holds(member);
    });
  };
  if (all_others([](const auto&) { return false; })) return true;  // there are none
  if (request.protocol_type != protocol_type_) return false;
  return std::ranges::any_of(request.protocols, [&](const auto& wanted) {
    return all_others([&](const auto& member) {
      return std::ranges::find(member.protocols, wanted.name, &GroupRow::Protocol::name) !=
             member.protocols.end();
    });
  });
}

ErrorCode Group::check_member(std::string_view member_id,
                              std::optional<std::string_view> instance_id) const {
  if (instance_id) {
    const auto found = statics_.find(*instance_id);
    if (found == statics_.end()) return ErrorCode::unknown_member_id;
    if (found->second != member_id) return ErrorCode::fenced_instance_id;
  }
  return members_.contains(member_id) ? ErrorCode::none : ErrorCode::unknown_member_id;
}

std::string Group::new_member_id(std::string_view prefix) {
  return fmt::format("{}-{:016x}{:016x}", prefix.substr(0, member_id_prefix_max), ids_.next(),
                     ids_.next());
}

void Group::join_first(const Arrival& arrival) {
  const JoinGroupRequest& request = arrival.request;
  if (request.group_instance_id) {
    const auto known = statics_.find(*request.group_instance_id);
    if (known != statics_.end()) return replace(std::string(known->second), arrival);
    return add(new_member_id(*request.group_instance_id), arrival);
  }
  std::string id = new_member_id(arrival.peer.client_id);
  if (arrival.peer.version < id_first_since) return add(std::move(id), arrival);
  const auto until = arrival.clock.now + std::chrono::milliseconds(request.session_timeout_ms);
  due_at(until);
  refuse(arrival.ticket, ErrorCode::member_id_required, id, arrival.out);
  invited_.emplace(std::move(id), until);
}

void Group::add(std::string member_id, const Arrival& arrival) {
  if (members_.empty()) {
    protocol_type_ = arrival.request.protocol_type;
    leader_ = member_id;
  }
  Member& member = members_[member_id];
  member.data.id = std::move(member_id);
  member.data.instance_id = text_of(arrival.request.group_instance_id);
  bytes_ += bytes_of(member.data);
  if (member.data.instance_id) statics_[*member.data.instance_id] = member.data.id;
  renew(member, arrival);
  newcomer_ = true;
  rebalance(arrival.clock, arrival.out);
}

void Group::join_again(Member& member, const Arrival& arrival) {
  const bool changed = !same_protocols(member.data.protocols, arrival.request);
  const bool asks_for_rebalance = changed || member.data.id == leader_;
  // While the generation is made, a repeat of what is known is a client that has lost the answer.
  if (state_ == State::preparing_rebalance || changed ||
      (state_ == State::stable && asks_for_rebalance)) {
    renew(member, arrival);
    return rebalance(arrival.clock, arrival.out);
  }
  touch(member, arrival.clock.now);
  arrival.out.joins.emplace_back(arrival.ticket, join_answer(member, member.data.id == leader_));
}

// A static member comes back under a new member id; whoever still uses the old one is fenced.
void Group::replace(const std::string& member_id, const Arrival& arrival) {
  auto node = members_.extract(member_id);
  Member& member = node.mapped();
  if (member.join)
    refuse(*std::exchange(member.join, {}), ErrorCode::fenced_instance_id, member_id, arrival.out);
  if (member.sync)
    arrival.out.syncs.emplace_back(*std::exchange(member.sync, {}),
                                   SyncGroupResponse{.error_code = ErrorCode::fenced_instance_id});
  const std::string leader_before = leader_;
  const std::string id = new_member_id(*arrival.request.group_instance_id);
  if (leader_ == member_id) leader_ = id;
  member.data.id = id;
  node.key() = id;
  statics_[*member.data.instance_id] = id;
  members_.insert(std::move(node));
  renew(member, arrival);
  if (state_ != State::stable || choose_protocol() != protocol_)
    return rebalance(arrival.clock, arrival.out);

  // Before version 9 the answer can't tell a leader to leave the assignment alone: it is told that
  // its old self leads.
  const bool can_skip = arrival.peer.version >= skips_assignment_since;
  member.returning = Return{.store = ++stores_,
                            .leader = can_skip ? leader_ : leader_before,
                            .skip_assignment = can_skip && leader_ == id};
  arrival.out.store = stores_;
}

void Group::renew(Member& member, const Arrival& arrival) {
  const JoinGroupRequest& request = arrival.request;
  if (member.join)
    refuse(*member.join, ErrorCode::rebalance_in_progress, member.data.id, arrival.out);
  member.join = arrival.ticket;
  member.returning.reset();
  bytes_ -= bytes_of(member.data);
  member.data.client_id = arrival.peer.client_id;
  member.data.client_host = arrival.peer.client_host;
  member.data.session_timeout_ms = request.session_timeout_ms;
  member.data.rebalance_timeout_ms =
      request.rebalance_timeout_ms > 0
          ? std::min(request.rebalance_timeout_ms, rebalance_timeout_max_ms)
          : request.session_timeout_ms;
  member.data.protocols = protocols_of(request);
  bytes_ += bytes_of(member.data);
}

void Group::refuse(Ticket ticket, ErrorCode code, std::string_view member_id, GroupEffects& out) {
  out.joins.emplace_back(
      ticket, JoinGroupResponse{.error_code = code, .member_id = std::string(member_id)});
}

// --- staying and leaving ---

ErrorCode Group::heartbeat(const HeartbeatRequest& request, const GroupClock& clock) {
  const ErrorCode code = check_member(request.member_id, request.group_instance_id);
  if (code != ErrorCode::none) return code;
  if (request.generation_id != generation_) return ErrorCode::illegal_generation;
  touch(members_.find(request.member_id)->second, clock.now);
  return state_ == State::preparing_rebalance ? ErrorCode::rebalance_in_progress : ErrorCode::none;
}

ErrorCode Group::check_commit(const OffsetCommitRequest& request, const GroupClock& clock) {
  // Consumers that assign partitions to themselves, and tools.
  if (request.generation_id < 0 && state_ == State::empty) return ErrorCode::none;
  if (request.generation_id < 0 && request.member_id.empty() && !request.group_instance_id)
    return ErrorCode::unknown_member_id;
  const ErrorCode code = check_member(request.member_id, request.group_instance_id);
  if (code != ErrorCode::none) return code;
  if (request.generation_id != generation_) return ErrorCode::illegal_generation;
  touch(members_.find(request.member_id)->second, clock.now);
  return state_ == State::completing_rebalance ? ErrorCode::rebalance_in_progress : ErrorCode::none;
}

ErrorCode Group::leave(std::string_view member_id, std::optional<std::string_view> instance_id,
                       const GroupClock& clock, GroupEffects& out) {
  if (member_id.empty() && instance_id) {
    const auto known = statics_.find(*instance_id);
    if (known == statics_.end()) return ErrorCode::unknown_member_id;
    member_id = known->second;
  }
  if (const auto invited = invited_.find(member_id); invited != invited_.end()) {
    invited_.erase(invited);
    try_complete_join(clock, out);
    return ErrorCode::none;
  }
  const ErrorCode code = check_member(member_id, instance_id);
  if (code != ErrorCode::none) return code;
  remove(members_.find(member_id), ErrorCode::unknown_member_id, out);
  rebalance(clock, out);
  return ErrorCode::none;
}

void Group::remove(Members::iterator found, ErrorCode code, GroupEffects& out) {
  Member& member = found->second;
  if (member.join) refuse(*member.join, code, member.data.id, out);
  if (member.sync) out.syncs.emplace_back(*member.sync, SyncGroupResponse{.error_code = code});
  if (member.data.instance_id) statics_.erase(*member.data.instance_id);
  const bool led = member.data.id == leader_;
  bytes_ -= bytes_of(member.data);
  members_.erase(found);
  if (led) leader_ = members_.empty() ? "" : members_.begin()->first;
}

void Group::cancel(Ticket ticket, const GroupClock& clock) {
  const auto found = std::ranges::find_if(members_, [&](const auto& entry) {
    return entry.second.join == ticket || entry.second.sync == ticket;
  });
  if (found == members_.end()) return;
  Member& member = found->second;
  if (member.join == ticket) {
    member.join.reset();
    member.returning.reset();
  } else {
    member.sync.reset();
    member.synced = false;  // it has not seen its assignment
  }
  touch(member, clock.now);
}

void Group::touch(Member& member, runtime::TimePoint now) {
  member.session_end = now + std::chrono::milliseconds(member.data.session_timeout_ms);
  due_at(member.session_end);
}

// --- looking ---

bool Group::unused() const {
  return state_ == State::empty && generation_ == 0 && invited_.empty();
}

// ConsumerProtocolSubscription: version, then the topics; what follows differs between versions.
std::optional<std::set<std::string_view>> Group::subscriptions() const {
  std::set<std::string_view> topics;
  for (const auto& [id, member] : members_) {
    const auto& protocols = member.data.protocols;
    const auto chosen = std::ranges::find(protocols, protocol_, &GroupRow::Protocol::name);
    if (chosen == protocols.end() || !read_subscription(chosen->metadata, topics))
      return std::nullopt;
  }
  return topics;
}

GroupRow Group::row() const {
  GroupRow row{.generation = generation_,
               .protocol_type = protocol_type_,
               .protocol = protocol_,
               .leader = leader_,
               .empty_since = empty_since_};
  row.members.reserve(members_.size());
  for (const auto& [id, member] : members_) row.members.push_back(member.data);
  return row;
}

DescribeGroupsResponse::Group Group::describe() const {
  DescribeGroupsResponse::Group out{.group_state = std::string(to_string(state_)),
                                    .protocol_type = protocol_type_};
  const bool stable = state_ == State::stable;
  if (stable) out.protocol_data = protocol_;
  for (const auto& [id, member] : members_) {
    const GroupRow::Member& data = member.data;
    auto& described =
        out.members.emplace_back(id, data.instance_id, data.client_id, data.client_host);
    if (!stable) continue;
    described.member_assignment = data.assignment;
    const auto chosen = std::ranges::find(data.protocols, protocol_, &GroupRow::Protocol::name);
    if (chosen != data.protocols.end()) described.member_metadata = chosen->metadata;
  }
  return out;
}

}  // namespace sluice::kafka
