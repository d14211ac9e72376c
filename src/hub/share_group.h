#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/metrics.h"
#include "hub/distributor.h"
#include "hub/key_holders.h"
#include "hub/open_records.h"
#include "hub/router.h"
#include "hub/share_letters.h"
#include "hub/share_state.h"
#include "hub/slots.h"
#include "runtime/loop.h"
#include "sessions/groups.h"
#include "stream/stream.h"

namespace sluice::hub {

// The members of one shared subscription (MQTT 5, section 4.8.2), and the records between them: a
// group is a share name and a filter.
//
// Shard:   its home. Owner: ShareHome; callbacks that may come later hold it weakly.
// Cursor:  it is one subscriber of the Distributor. When its members can take nothing more it lags,
//          as any subscriber does, so memory does not depend on how slow they are.
// Choice:  a record goes to the member that has others of its key open (KeyHolders), else to the
//          less loaded of the next two in turn; a member without room is passed by.
// Return:  what a member does not take, or has open when it leaves, comes back as a position, is
//          read from the log again, and given to others before anything newer. Positions come only
//          from windows of members, and nothing new is given while there are any, so there are
//          never more of them than these windows hold.
// Store:   where there is one, a group that somebody holds is saved now and then, when members are
//          gone, and when it is asked to: its place in each partition and what is open or came
//          back, at most open_max positions (share_group_stored.cc).
class ShareGroup final : public SubscriberSink, public std::enable_shared_from_this<ShareGroup> {
 public:
  // What a group uses of its shard.
  struct Context {
    runtime::Loop& loop;
    stream::Stream& stream;
    Router& router;
    Distributor& distributor;
    sessions::Groups* store = nullptr;  // none: no group outlives its members
  };
  // Delivers to the members of a shard; `answered` once all parts say what was taken. Within the
  // call if it is this shard.
  using Deliver = std::function<void(std::shared_ptr<SharePortion> portion, Task answered)>;

  ShareGroup(const Context& context, ShardId home, std::uint32_t shards, Deliver deliver,
             Counter& redelivered, Counter& lost);
  ~ShareGroup() { context_.distributor.remove(subscriber_); }
  ShareGroup(const ShareGroup&) = delete;
  ShareGroup& operator=(const ShareGroup&) = delete;

  // `self` is how members name the group, `text` how clients do: "$share/<name>/<filter>".
  void start(Handle self, const std::string& text);
  // Adds a member, or takes over its other options. `done` gets its name when every message that is
  // published from then on will be given to somebody, even if the hub goes down where somebody
  // holds the group.
  using OnJoined = std::move_only_function<void(ShareJoined)>;
  void join(const ShareJoin& join, OnJoined done);
  void report(const ShareReport& report);
  // A holder is one no more. Its row goes when it has settled what it had, and the group is saved:
  // until then a crash has its session asked for what is in flight.
  void release(sessions::ShareId share);
  // Some member takes records; else the group is over, if nobody holds it.
  [[nodiscard]] bool has_members() const { return taking_ > 0; }
  // Nor does any settle what it has: the group may wait in the store.
  [[nodiscard]] bool is_empty() const { return members_.size() == 0; }
  // Done when all that has happened so far is durable; at once if nobody holds the group. Errors:
  // those of sessions::Groups.
  void save(Done<void> done);
  [[nodiscard]] bool is_saving() const { return saving_; }
  [[nodiscard]] const std::string& text() const { return text_; }

  // For administrators. Members without their client ids, which are known on their shards.
  [[nodiscard]] ShareSummary summary();
  [[nodiscard]] std::vector<ShareMember> describe_members();

  std::size_t on_records(const DeliveryBatch& batch) override;
  // Traces take it for a client of that name.
  [[nodiscard]] trace::Who who() const override { return {.client = text_}; }

 private:
  struct Member {
    ShardId shard;
    Handle membership;
    sessions::ShareId share = 0;  // of a holder
    std::uint8_t qos = 0;
    bool waits = false;     // until it is durable that the group is held
    bool stopped = false;   // has unsubscribed
    bool released = false;  // and its session holds the group no more
    bool blocked = false;   // took less than it was given; until it says `room`
    bool full = false;      // its window was, and is not half empty again
    bool ready = false;     // stands in ready_
    // How often it took less than it was given. What was sent before the home knew of that is
    // refused whole, so that nothing overtakes what comes back.
    std::uint32_t round = 0;
    std::uint32_t part = 0;  // place in its shard's portion, counted from 1; 0: none yet
    OpenRecords open;
  };

  [[nodiscard]] MemberAtHome name_of(Handle member) const { return {self_, member}; }
  [[nodiscard]] Handle find_member(ShardId shard, Handle membership);
  void settle(Handle handle, std::uint64_t first, std::uint32_t count);
  void keep(Handle handle, std::uint64_t first, std::uint32_t count);
  void stop(Handle handle);
  void leave(Handle handle);
  void erase(Handle handle);
  void renew_ready(Handle handle);
  std::optional<OpenRecords::Record> close(Handle handle, std::uint64_t ticket);

  std::size_t give(const DeliveryBatch& batch);
  void fill_portions(const DeliveryBatch& batch);
  [[nodiscard]] std::optional<Handle> choose(const log::Record& record);
  [[nodiscard]] std::optional<Handle> next_in_turn();
  [[nodiscard]] std::optional<Handle> peek_in_turn() const;
  [[nodiscard]] bool has_credit(ShardId shard) const;
  void add(Handle handle, const DeliveryBatch& batch, std::uint32_t index);
  SharePortion::Part& part_of(Handle handle, const DeliveryBatch& batch);
  void send_portions();
  void on_answer(const SharePortion& portion);
  void put_back(std::vector<Position> positions);
  std::size_t take_back_rest();
  bool skip_taken(Position position);

  void wake();
  void go_on();
  void read_returned();
  void on_returned_read(Position from, const Result<stream::ReadAnswer>& answer);
  [[nodiscard]] bool give_returned(Partition partition, const stream::BlockRef& block);
  std::vector<Position> take_returned(Partition partition, Offset from, Offset until);
  void skip_lost(Partition partition);

  // With a store (share_group_stored.cc).
  void load();
  void begin(const std::optional<sessions::GroupState>& state);
  void on_subscribed();
  void answer_join(const MemberAtHome& name, const std::string& holder, OnJoined done);
  void remove_holder(sessions::ShareId share);
  void save_next();
  void on_saved(const Result<void>& result);
  [[nodiscard]] sessions::GroupState state();

  // `call` on this group, later, if it is still there.
  template <class Call>
  auto when_alive(Call call) {
    return [weak = weak_from_this(), call = std::move(call)](auto&&... arguments) {
      if (const auto group = weak.lock()) call(*group, arguments...);
    };
  }

  static constexpr std::uint32_t open_max = 65'536;

  const Context context_;
  const ShardId home_;
  const Deliver deliver_;
  Counter& redelivered_;
  Counter& lost_;
  Handle self_;
  std::string text_;
  Handle subscriber_;  // of the Distributor
  bool subscribed_ = false;
  std::vector<Task> joining_;  // until it is

  Slots<Member> members_;
  std::uint32_t taking_ = 0;  // members that have not stopped
  std::vector<Handle> ready_;
  std::size_t turn_ = 0;  // whose it is, in ready_
  KeyHolders holders_;

  std::vector<std::shared_ptr<SharePortion>> portions_;  // being filled, by shard; null: none
  std::vector<std::int64_t> in_transit_;  // bytes sent to other shards and not answered
  std::vector<Position> given_;           // by the last give(), in order

  std::uint32_t open_ = 0;  // records, of all members

  std::vector<Position> returned_;  // sorted
  std::vector<Position> taken_;     // sorted: sessions have them, the cursor has yet to pass them
  bool reading_ = false;            // some of them from the log
  bool stalled_ = false;            // took less than the Distributor offered
  bool woken_ = false;

  bool moved_ = false;  // since it was saved
  bool saving_ = false;
  std::vector<Done<void>> saves_;      // that wait for the next one
  std::vector<Done<void>> under_way_;  // for the one under way
};

}  // namespace sluice::hub
