#include <algorithm>

#include "base/hash.h"
#include "kafka/coordinator.h"

namespace sluice::kafka {

namespace {
constexpr runtime::Duration expiry_interval_max = std::chrono::minutes(10);
constexpr int expiry_checks_per_retention = 4;
constexpr std::size_t expiry_groups_per_turn = 64;
constexpr runtime::Duration erase_again_after = std::chrono::milliseconds(100);
}  // namespace

// --- committing ---

// One request: answered when all its rows are durable or refused.
struct Coordinator::Commit {
  std::string group;
  std::uint64_t life;
  OffsetCommitResponse response;
  Answer<OffsetCommitResponse> answer;
  std::size_t open = 1;

  void end() {
    if (--open == 0) answer(std::move(response));
  }
};

namespace {

void set_all(OffsetCommitResponse& response, ErrorCode code) {
  for (auto& topic : response.topics) {
    for (auto& partition : topic.partitions) {
      if (partition.error_code == ErrorCode::none) partition.error_code = code;
    }
  }
}

OffsetRow row_of(const OffsetCommitRequest::Partition& wanted, WallMs now) {
  return {.offset = wanted.committed_offset,
          .leader_epoch = wanted.committed_leader_epoch,
          .metadata = std::string(wanted.committed_metadata.value_or("")),
          .committed_at = now};
}

}  // namespace

void Coordinator::commit(const OffsetCommitRequest& request, OffsetCommitResponse response,
                         Answer<OffsetCommitResponse> answer) {
  const auto refuse = [&](ErrorCode code) {
    set_all(response, code);
    answer(std::move(response));
  };
  if (const ErrorCode code = check(request.group_id); code != ErrorCode::none) return refuse(code);
  const bool is_member = request.generation_id >= 0;
  if (is_member && !groups_.contains(request.group_id))
    return refuse(ErrorCode::illegal_generation);
  const auto group = find_or_add(request.group_id);
  if (group == groups_.end()) return refuse(ErrorCode::group_max_size_reached);
  if (const ErrorCode code = group->second.group.check_commit(request, clock());
      code != ErrorCode::none)
    return refuse(code);

  const auto commit = std::make_shared<Commit>(group->first, group->second.life,
                                               std::move(response), std::move(answer));
  for (std::size_t t = 0; t < request.topics.size(); ++t) {
    const auto& partitions = request.topics[t].partitions;
    for (std::size_t p = 0; p < partitions.size(); ++p)
      put_offset(commit, t, p, row_of(partitions[p], context_.loop->wall_ms()));
  }
  GroupEffects nothing;
  settle(group, nothing);
  commit->end();
}

void Coordinator::put_offset(const std::shared_ptr<Commit>& commit, std::size_t topic,
                             std::size_t partition, OffsetRow row) {
  const std::string& name = commit->response.topics[topic].name;
  const auto slot_in = [topic, partition](Commit& c) -> OffsetCommitResponse::Partition& {
    return c.response.topics[topic].partitions[partition];
  };
  auto& answer = slot_in(*commit);
  if (answer.error_code != ErrorCode::none) return;
  Entry& entry = groups_.find(commit->group)->second;
  const bool known = entry.offsets.find(name, answer.index) != nullptr;
  if (row.metadata.size() > options_.offset_metadata_max) {
    answer.error_code = ErrorCode::offset_metadata_too_large;
  } else if (!known && (offsets_ >= options_.offsets_max || !has_room())) {
    answer.error_code = ErrorCode::group_max_size_reached;
  }
  if (answer.error_code != ErrorCode::none) return;

  ++commit->open;
  const std::uint64_t life = entry.offsets.begin(name, answer.index);
  count(entry);
  auto value = encode_row(row);
  table_.put(partition_of_key(as_bytes(commit->group), slot_count),
             encode_key({commit->group, name, answer.index}), std::move(value),
             [this, commit, slot_in, topic, life,
              row = std::move(row)](const Result<void>& stored) mutable {
               auto& done = slot_in(*commit);
               if (!stored) done.error_code = ErrorCode::coordinator_not_available;
               if (Entry* there = find(commit->group, commit->life)) {
                 there->offsets.end(commit->response.topics[topic].name, done.index, life,
                                    stored ? std::optional(std::move(row)) : std::nullopt);
                 count(*there);
               }
               commit->end();
             });
}

// --- fetching ---

namespace {

OffsetFetchResponse::Partition answer_of(std::int32_t index, const GroupOffsets::Entry* entry) {
  OffsetFetchResponse::Partition out{.index = index};
  if (entry == nullptr || !entry->durable) return out;
  out.committed_offset = entry->durable->offset;
  out.committed_leader_epoch = entry->durable->leader_epoch;
  out.metadata = entry->durable->metadata;
  return out;
}

}  // namespace

OffsetFetchResponse::Group Coordinator::fetch(const OffsetFetchRequest::Group& request) {
  OffsetFetchResponse::Group out{.group_id = std::string(request.group_id)};
  out.error_code = check(request.group_id);
  const auto group = groups_.find(request.group_id);
  const bool known = out.error_code == ErrorCode::none && group != groups_.end();
  if (request.topics) {
    for (const auto& wanted : *request.topics) {
      auto& topic = out.topics.emplace_back(std::string(wanted.name));
      for (const std::int32_t index : wanted.partition_indexes) {
        topic.partitions.push_back(
            answer_of(index, known ? group->second.offsets.find(wanted.name, index) : nullptr));
        topic.partitions.back().error_code = out.error_code;
      }
    }
  } else if (known) {
    for (const auto& [name, partitions] : group->second.offsets.topics()) {
      auto& topic = out.topics.emplace_back(name);
      for (const auto& [index, entry] : partitions) {
        if (entry.durable) topic.partitions.push_back(answer_of(index, &entry));
      }
    }
  }
  return out;
}

// --- deleting ---

// What is gone from memory goes from the table too; `done` when that is durable. If the table is
// busy now it goes later, unless it was set again by then.
void Coordinator::erase_row(GroupRowKey key, Done<void> done) {
  auto bytes = encode_key(key);
  const auto slot = partition_of_key(as_bytes(key.group), slot_count);
  table_.put(slot, std::move(bytes), std::nullopt,
             [this, key = std::move(key), done = std::move(done)](Result<void> erased) mutable {
               if (erased || erased.error().code != Errc::busy) return done(std::move(erased));
               context_.loop->run_after(erase_again_after,
                                        [this, alive = std::weak_ptr(alive_), key = std::move(key),
                                         done = std::move(done)]() mutable {
                                          if (alive.expired()) return;
                                          if (phase_ != Phase::open || is_live(key))
                                            return done({});
                                          erase_row(std::move(key), std::move(done));
                                        });
             });
}

bool Coordinator::is_live(const GroupRowKey& key) const {
  const auto group = groups_.find(key.group);
  if (group == groups_.end()) return false;
  if (key.topic.empty()) return true;
  const auto topic = group->second.offsets.topics().find(key.topic);
  return topic != group->second.offsets.topics().end() && topic->second.contains(key.partition);
}

void Coordinator::erase_offset(Groups::iterator group, const std::string& topic,
                               std::int32_t partition, Done<void> done) {
  erase_row({group->first, topic, partition}, std::move(done));
  group->second.offsets.erase(topic, partition);
  count(group->second);
}

void Coordinator::delete_group(std::string_view name, Answer<ErrorCode> answer) {
  if (const ErrorCode code = check(name); code != ErrorCode::none) return answer(code);
  const auto group = groups_.find(name);
  if (group == groups_.end()) return answer(ErrorCode::group_id_not_found);
  if (group->second.group.state() != Group::State::empty) return answer(ErrorCode::non_empty_group);

  // One after another in the slot's order: when the last one is durable, all are.
  std::vector<GroupRowKey> rows;
  for (const auto& [topic, partitions] : group->second.offsets.topics()) {
    for (const auto& [partition, entry] : partitions)
      rows.push_back({group->first, topic, partition});
  }
  GroupRowKey last{.group = group->first};
  forget(group);
  for (GroupRowKey& row : rows) erase_row(std::move(row), [](const Result<void>&) {});
  erase_row(std::move(last), [answer = std::move(answer)](const Result<void>& erased) mutable {
    answer(erased ? ErrorCode::none : ErrorCode::coordinator_not_available);
  });
}

namespace {

struct OffsetDeletion {
  OffsetDeleteResponse response;
  Coordinator::Answer<OffsetDeleteResponse> answer;
  std::size_t open = 1;

  void end() {
    if (--open == 0) answer(std::move(response));
  }
};

}  // namespace

void Coordinator::delete_offsets(const OffsetDeleteRequest& request,
                                 Answer<OffsetDeleteResponse> answer) {
  if (const ErrorCode code = check(request.group_id); code != ErrorCode::none)
    return answer({.error_code = code});
  const auto group = groups_.find(request.group_id);
  if (group == groups_.end()) return answer({.error_code = ErrorCode::group_id_not_found});
  const bool empty = group->second.group.state() == Group::State::empty;
  if (!empty && !group->second.group.is_consumer_group())
    return answer({.error_code = ErrorCode::non_empty_group});
  const auto subscriptions = group->second.group.subscriptions();
  const auto deletion = std::make_shared<OffsetDeletion>();
  deletion->answer = std::move(answer);
  auto& topics = deletion->response.topics;
  for (const auto& wanted : request.topics) {
    auto& topic = topics.emplace_back(std::string(wanted.name));
    const bool in_use = !empty && (!subscriptions || subscriptions->contains(wanted.name));
    for (const auto& [index] : wanted.partitions) {
      auto& done = topic.partitions.emplace_back(index);
      if (in_use) {
        done.error_code = ErrorCode::group_subscribed_to_topic;
        continue;
      }
      if (group->second.offsets.find(wanted.name, index) == nullptr) continue;
      ++deletion->open;
      erase_offset(group, topic.name, index,
                   [deletion, t = topics.size() - 1,
                    p = topic.partitions.size() - 1](const Result<void>& erased) {
                     if (!erased)
                       deletion->response.topics[t].partitions[p].error_code =
                           ErrorCode::coordinator_not_available;
                     deletion->end();
                   });
    }
  }
  deletion->end();
}

// Offsets of a topic that is gone mean nothing for the next one of that name.
void Coordinator::on_stream_removed(const stream::StreamInfo& stream) {
  if (phase_ != Phase::open) return;
  for (auto group = groups_.begin(); group != groups_.end(); ++group)
    erase_topic(group, stream.name);
}

void Coordinator::erase_topic(Groups::iterator group, const std::string& topic) {
  const auto& topics = group->second.offsets.topics();
  const auto found = topics.find(topic);
  if (found == topics.end()) return;
  std::vector<std::int32_t> partitions;
  for (const auto& [partition, entry] : found->second) partitions.push_back(partition);
  for (const std::int32_t partition : partitions)
    erase_offset(group, topic, partition, [](const Result<void>&) {});
}

// --- expiry ---

void Coordinator::expire_later() {
  const auto interval =
      std::min(expiry_interval_max, options_.offsets_retention / expiry_checks_per_retention);
  expiry_timer_ = context_.loop->run_after(interval, [this] { expire_from({}); });
}

// Some groups a turn, by name.
void Coordinator::expire_from(const std::string& name) {
  if (phase_ != Phase::open) return;
  auto group = groups_.lower_bound(name);
  for (std::size_t i = 0; i < expiry_groups_per_turn && group != groups_.end(); ++i)
    expire(group++);
  if (group == groups_.end()) return expire_later();
  context_.loop->post([this, alive = std::weak_ptr(alive_), next = group->first] {
    if (!alive.expired()) expire_from(next);
  });
}

// What an empty group has committed lives on for the retention time since its last member left, or
// since the commit if that was later; a group that has nothing any more is forgotten. In a group
// with members it does so since the commit, if no member reads the topic (KIP-211).
void Coordinator::expire(Groups::iterator group) {
  Entry& entry = group->second;
  const auto retention =
      std::chrono::duration_cast<std::chrono::milliseconds>(options_.offsets_retention).count();
  const WallMs oldest = context_.loop->wall_ms() - retention;
  if (entry.group.state() == Group::State::stable) return expire_unread(group, oldest);
  if (entry.group.state() != Group::State::empty || entry.group.empty_since() > oldest) return;
  for (const auto& [topic, partition] : entry.offsets.committed_until(oldest))
    erase_offset(group, topic, partition, [](const Result<void>&) {});
  if (!entry.offsets.empty() || entry.group.expects_members()) return;
  erase_row({.group = group->first}, [](const Result<void>&) {});
  forget(group);
}

void Coordinator::expire_unread(Groups::iterator group, WallMs oldest) {
  Entry& entry = group->second;
  if (!entry.group.is_consumer_group()) return;
  const auto expired = entry.offsets.committed_until(oldest);
  if (expired.empty()) return;
  const auto subscriptions = entry.group.subscriptions();
  if (!subscriptions) return;
  for (const auto& [topic, partition] : expired) {
    if (!subscriptions->contains(topic))
      erase_offset(group, topic, partition, [](const Result<void>&) {});
  }
}

}  // namespace sluice::kafka
