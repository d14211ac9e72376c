#include "kafka/coordinator.h"

#include <algorithm>

#include "base/hash.h"
#include "base/logger.h"

namespace sluice::kafka {

namespace {
constexpr Logger logger("kafka");
constexpr std::string_view table_name = "__groups";
}  // namespace

Coordinator::Coordinator(Coordinators& peers, table::Table::Context context,
                         const GroupOptions& options)
    : peers_(peers),
      context_(context),
      options_(options),
      links_(peers.mailboxes(), context.shard),
      table_(context, std::string(table_name)),
      ids_(Random::from_os()),
      groups_metric_(context.metrics->gauge("sluice_groups", "Consumer groups")),
      members_metric_(context.metrics->gauge("sluice_group_members", "Members of consumer groups")),
      rebalances_metric_(context.metrics->counter("sluice_group_rebalances_total",
                                                  "Generations that consumer groups have begun")) {
  context_.stream->watch_catalogue(*this);
  open_table();
}

Coordinator::~Coordinator() {
  for (auto& [name, entry] : groups_) context_.loop->cancel(entry.timer);
  context_.loop->cancel(expiry_timer_);
}

void Coordinator::stop(Done<void> done) {
  phase_ = Phase::stopped;
  table_.stop(std::move(done));
}

ShardId Coordinator::home_of(std::string_view group) const {
  return shard_of_slot(partition_of_key(as_bytes(group), slot_count), context_.shards);
}

Ticket Coordinator::new_ticket() {
  return Ticket{tickets_++ * context_.shards + context_.shard.value};
}

void Coordinator::tell(ShardId home, std::move_only_function<void(Coordinator&)> news) {
  if (home == context_.shard) return news(*this);
  links_.send(home, [&there = peers_.on(home), news = std::move(news)]() mutable { news(there); });
}

// --- members ---

ErrorCode Coordinator::check(std::string_view group) const {
  if (phase_ == Phase::loading) return ErrorCode::coordinator_load_in_progress;
  if (phase_ != Phase::open) return ErrorCode::coordinator_not_available;
  if (group.empty() || group.size() > options_.group_id_max) return ErrorCode::invalid_group_id;
  return ErrorCode::none;
}

GroupClock Coordinator::clock() const { return {context_.loop->now(), context_.loop->wall_ms()}; }

bool Coordinator::has_room() const { return bytes_ < options_.memory_max; }

Coordinator::Entry* Coordinator::find(std::string_view group, std::uint64_t life) {
  const auto found = groups_.find(group);
  return found != groups_.end() && found->second.life == life ? &found->second : nullptr;
}

Coordinator::Groups::iterator Coordinator::find_or_add(std::string_view group) {
  const auto found = groups_.find(group);
  if (found != groups_.end()) return found;
  if (groups_.size() >= options_.groups_max || !has_room()) return groups_.end();
  groups_metric_.add(1);
  return groups_.try_emplace(std::string(group), Group(options_, ids_), ++lives_).first;
}

void Coordinator::join(Ticket ticket, const JoinGroupRequest& request, const GroupPeer& peer,
                       Answer<JoinGroupResponse> answer) {
  const auto refuse = [&](ErrorCode code) {
    answer({.error_code = code, .member_id = std::string(request.member_id)});
  };
  if (const ErrorCode code = check(request.group_id); code != ErrorCode::none) return refuse(code);
  if (!has_room()) return refuse(ErrorCode::group_max_size_reached);
  const auto group = find_or_add(request.group_id);
  if (group == groups_.end()) return refuse(ErrorCode::group_max_size_reached);
  joins_.emplace(ticket, std::move(answer));
  GroupEffects effects;
  group->second.group.join(ticket, request, peer, clock(), effects);
  settle(group, effects);
}

void Coordinator::sync(Ticket ticket, const SyncGroupRequest& request,
                       Answer<SyncGroupResponse> answer) {
  if (const ErrorCode code = check(request.group_id); code != ErrorCode::none)
    return answer({.error_code = code});
  const auto group = groups_.find(request.group_id);
  if (group == groups_.end()) return answer({.error_code = ErrorCode::unknown_member_id});
  syncs_.emplace(ticket, std::move(answer));
  GroupEffects effects;
  group->second.group.sync(ticket, request, clock(), effects);
  settle(group, effects);
}

void Coordinator::cancel(std::string_view name, Ticket ticket) {
  joins_.erase(ticket);
  syncs_.erase(ticket);
  const auto group = groups_.find(name);
  if (group == groups_.end()) return;
  group->second.group.cancel(ticket, clock());
  arm(group);
}

HeartbeatResponse Coordinator::heartbeat(const HeartbeatRequest& request) {
  if (const ErrorCode code = check(request.group_id); code != ErrorCode::none)
    return {.error_code = code};
  const auto group = groups_.find(request.group_id);
  if (group == groups_.end()) return {.error_code = ErrorCode::unknown_member_id};
  return {.error_code = group->second.group.heartbeat(request, clock())};
}

LeaveGroupResponse Coordinator::leave(const LeaveGroupRequest& request, std::int16_t version) {
  constexpr std::int16_t lists_since = 3;
  if (const ErrorCode code = check(request.group_id); code != ErrorCode::none)
    return {.error_code = code};
  const auto group = groups_.find(request.group_id);
  GroupEffects effects;
  const auto leave_one = [&](std::string_view member, std::optional<std::string_view> instance) {
    if (group == groups_.end()) return ErrorCode::unknown_member_id;
    return group->second.group.leave(member, instance, clock(), effects);
  };
  LeaveGroupResponse response;
  if (version < lists_since) response.error_code = leave_one(request.member_id, std::nullopt);
  for (const auto& member : request.members) {
    auto& left = response.members.emplace_back(std::string(member.member_id));
    if (member.group_instance_id) left.group_instance_id = std::string(*member.group_instance_id);
    left.error_code = leave_one(member.member_id, member.group_instance_id);
  }
  if (group != groups_.end()) settle(group, effects);
  return response;
}

// --- what follows from an event ---

void Coordinator::settle(Groups::iterator group, GroupEffects& effects) {
  if (effects.rebalanced) rebalances_metric_.add();
  if (effects.store) store(group, *effects.store);
  answer(effects);
  count(group->second);
  if (group->second.group.unused() && group->second.offsets.empty()) return forget(group);
  arm(group);
}

void Coordinator::answer(GroupEffects& effects) {
  for (auto& [ticket, response] : effects.joins) {
    if (auto waiting = joins_.extract(ticket)) waiting.mapped()(std::move(response));
  }
  for (auto& [ticket, response] : effects.syncs) {
    if (auto waiting = syncs_.extract(ticket)) waiting.mapped()(std::move(response));
  }
}

void Coordinator::store(Groups::iterator group, std::uint64_t number) {
  const std::string& name = group->first;
  table_.put(partition_of_key(as_bytes(name), slot_count), encode_key({.group = name}),
             encode_row(group->second.group.row()),
             [this, name, life = group->second.life, number](const Result<void>& stored) {
               if (!stored)
                 logger.warn("a group was not stored",
                             {{"group", name}, {"reason", stored.error().text}});
               if (find(name, life) == nullptr) return;
               const auto found = groups_.find(name);
               GroupEffects effects;
               found->second.group.on_stored(number, stored.has_value(), clock(), effects);
               settle(found, effects);
             });
}

// The timer is only ever moved forward: it may come too early, and is then set anew.
void Coordinator::arm(Groups::iterator group) {
  Entry& entry = group->second;
  const runtime::TimePoint deadline = entry.group.deadline();
  if (deadline == runtime::TimePoint::max()) return;
  if (entry.timer != runtime::TimerId::none) {
    if (entry.timer_at <= deadline) return;
    context_.loop->cancel(entry.timer);
  }
  entry.timer_at = deadline;
  entry.timer = context_.loop->run_at(deadline, [this, name = group->first] {
    const auto found = groups_.find(name);
    found->second.timer = runtime::TimerId::none;
    GroupEffects effects;
    found->second.group.on_time(clock(), effects);
    settle(found, effects);
  });
}

void Coordinator::count(Entry& entry) {
  const auto move = [](std::size_t& total, std::size_t& counted, std::size_t now) {
    total += now - counted;
    counted = now;
  };
  move(members_, entry.counted_members, entry.group.members());
  move(offsets_, entry.counted_offsets, entry.offsets.count());
  move(bytes_, entry.counted_bytes, entry.group.bytes() + entry.offsets.bytes());
  members_metric_.set(static_cast<std::int64_t>(members_));
}

void Coordinator::forget(Groups::iterator group) {
  context_.loop->cancel(group->second.timer);
  members_ -= group->second.counted_members;
  offsets_ -= group->second.counted_offsets;
  bytes_ -= group->second.counted_bytes;
  groups_.erase(group);
  groups_metric_.add(-1);
}

// --- what tools ask ---

DescribeGroupsResponse::Group Coordinator::describe(std::string_view name) {
  DescribeGroupsResponse::Group out;
  const auto group = groups_.find(name);
  if (const ErrorCode code = check(name); code != ErrorCode::none) {
    out.error_code = code;
  } else if (group == groups_.end()) {
    out.error_code = ErrorCode::group_id_not_found;
    out.group_state = "Dead";
  } else {
    out = group->second.group.describe();
  }
  out.group_id = name;
  return out;
}

ListGroupsResponse Coordinator::list() {
  ListGroupsResponse out;
  if (phase_ != Phase::open) {
    out.error_code = check("any");
    return out;
  }
  for (const auto& [name, entry] : groups_) {
    out.groups.push_back({.group_id = name,
                          .protocol_type = entry.group.protocol_type(),
                          .group_state = std::string(to_string(entry.group.state())),
                          .group_type = "classic"});
  }
  return out;
}

}  // namespace sluice::kafka
