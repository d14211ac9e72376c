#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "kafka/delete_groups_messages.h"
#include "kafka/group.h"
#include "kafka/group_offsets.h"
#include "kafka/leave_group_messages.h"
#include "kafka/list_groups_messages.h"
#include "kafka/offset_delete_messages.h"
#include "kafka/offset_fetch_messages.h"
#include "stream/links.h"
#include "table/table.h"

namespace sluice::kafka {

class Coordinator;

// The coordinators of all shards, for what they must ask each other.
class Coordinators {
 public:
  explicit Coordinators(runtime::Mailboxes& mailboxes) : mailboxes_(mailboxes) {}
  // In the order of the shards, before the loops run.
  void add(Coordinator& coordinator) { all_.push_back(&coordinator); }
  [[nodiscard]] Coordinator& on(ShardId shard) { return *all_[shard.value]; }
  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(all_.size()); }
  [[nodiscard]] runtime::Mailboxes& mailboxes() { return mailboxes_; }

 private:
  runtime::Mailboxes& mailboxes_;
  std::vector<Coordinator*> all_;
};

// One shard's consumer groups: those whose name's slot has its home here, and what they have
// committed.
//
// All is in memory; the table `__groups` keeps it over restarts. An answer that says that something
// is so is given when its row is durable. Before the rows are read everybody is told to come again
// (COORDINATOR_LOAD_IN_PROGRESS).
//
// Shard: all on its loop. Requests for other shards' groups go there by ask(), as letters: a place
// in a mailbox is held for the way only, not while a join waits. How many letters there may be is
// bounded by the connections, of which each has one group request under way.
class Coordinator final : public stream::CatalogueSink {
 public:
  template <class T>
  using Answer = std::move_only_function<void(T)>;

  Coordinator(Coordinators& peers, table::Table::Context context, const GroupOptions& options);
  ~Coordinator();
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  // Once no connection is left: what was answered is durable in stream and table.
  void stop(Done<void> done);

  // --- for handlers of this shard
  [[nodiscard]] ShardId home_of(std::string_view group) const;
  [[nodiscard]] std::uint32_t shards() const { return context_.shards; }
  Ticket new_ticket();
  // Puts a question to the coordinator of another shard, or to this one, and brings the answer
  // here.
  template <class T>
  void ask(ShardId home, std::move_only_function<void(Coordinator&, Answer<T>)> question,
           Answer<T> answer);
  // The same without an answer.
  void tell(ShardId home, std::move_only_function<void(Coordinator&)> news);

  // --- for groups whose home is here
  void join(Ticket ticket, const JoinGroupRequest& request, const GroupPeer& peer,
            Answer<JoinGroupResponse> answer);
  void sync(Ticket ticket, const SyncGroupRequest& request, Answer<SyncGroupResponse> answer);
  // Whoever waited for the answer has gone.
  void cancel(std::string_view group, Ticket ticket);
  HeartbeatResponse heartbeat(const HeartbeatRequest& request);
  LeaveGroupResponse leave(const LeaveGroupRequest& request, std::int16_t version);
  // `answer` names all partitions of the request; those with an error there are left out.
  void commit(const OffsetCommitRequest& request, OffsetCommitResponse response,
              Answer<OffsetCommitResponse> answer);
  OffsetFetchResponse::Group fetch(const OffsetFetchRequest::Group& request);
  void delete_offsets(const OffsetDeleteRequest& request, Answer<OffsetDeleteResponse> answer);
  DescribeGroupsResponse::Group describe(std::string_view group);
  ListGroupsResponse list();
  void delete_group(std::string_view group, Answer<ErrorCode> answer);

  void on_stream_added(const stream::StreamInfo& /*stream*/) override {}
  void on_stream_removed(const stream::StreamInfo& stream) override;

 private:
  enum class Phase : std::uint8_t { loading, open, failed, stopped };
  struct Entry {
    Entry(Group its_group, std::uint64_t its_life) : group(std::move(its_group)), life(its_life) {}
    Group group;
    GroupOffsets offsets;
    std::uint64_t life;  // tells this group from one of the same name that was deleted
    runtime::TimerId timer = runtime::TimerId::none;
    runtime::TimePoint timer_at{};
    // As counted in the totals.
    std::size_t counted_members = 0;
    std::size_t counted_offsets = 0;
    std::size_t counted_bytes = 0;
  };
  using Groups = std::map<std::string, Entry, std::less<>>;
  struct Commit;

  // coordinator.cc
  [[nodiscard]] ErrorCode check(std::string_view group) const;
  [[nodiscard]] GroupClock clock() const;
  [[nodiscard]] bool has_room() const;
  Entry* find(std::string_view group, std::uint64_t life);
  Groups::iterator find_or_add(std::string_view group);  // end(): no room
  void settle(Groups::iterator group, GroupEffects& effects);
  void answer(GroupEffects& effects);
  void store(Groups::iterator group, std::uint64_t store);
  void arm(Groups::iterator group);
  void count(Entry& entry);
  void forget(Groups::iterator group);

  // coordinator_offsets.cc
  void put_offset(const std::shared_ptr<Commit>& commit, std::size_t topic, std::size_t partition,
                  OffsetRow row);
  void erase_row(GroupRowKey key, Done<void> done);
  [[nodiscard]] bool is_live(const GroupRowKey& key) const;
  void erase_offset(Groups::iterator group, const std::string& topic, std::int32_t partition,
                    Done<void> done);
  void erase_topic(Groups::iterator group, const std::string& topic);
  void expire_later();
  void expire_from(const std::string& name);
  void expire(Groups::iterator group);
  void expire_unread(Groups::iterator group, WallMs oldest);

  // coordinator_load.cc
  void open_table();
  void load(std::uint32_t slot, std::string from);
  void load_rows(const std::vector<table::Row>& rows);
  Result<void> load_row(const table::Row& row);
  void finish_loading();
  void erase_offsets_of_removed_streams(Groups::iterator group);
  void fail_loading(const Error& error);

  Coordinators& peers_;
  table::Table::Context context_;
  const GroupOptions options_;
  stream::Links links_;
  table::Table table_;
  Random ids_;
  Phase phase_ = Phase::loading;
  Groups groups_;
  std::unordered_map<Ticket, Answer<JoinGroupResponse>> joins_;
  std::unordered_map<Ticket, Answer<SyncGroupResponse>> syncs_;
  std::uint64_t tickets_ = 0;
  std::uint64_t lives_ = 0;
  std::size_t members_ = 0;
  std::size_t offsets_ = 0;
  std::size_t bytes_ = 0;
  runtime::TimerId expiry_timer_ = runtime::TimerId::none;
  // Held weakly by timers and posts that may outlive this object.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  Gauge& groups_metric_;
  Gauge& members_metric_;
  Counter& rebalances_metric_;
};

template <class T>
void Coordinator::ask(ShardId home, std::move_only_function<void(Coordinator&, Answer<T>)> question,
                      Answer<T> answer) {
  if (home == context_.shard) return question(*this, std::move(answer));
  links_.send(home, [this, &there = peers_.on(home), question = std::move(question),
                     answer = std::move(answer)]() mutable {
    question(there, [this, &there, answer = std::move(answer)](T value) mutable {
      there.links_.send(context_.shard,
                        [answer = std::move(answer), value = std::move(value)]() mutable {
                          answer(std::move(value));
                        });
    });
  });
}

}  // namespace sluice::kafka
