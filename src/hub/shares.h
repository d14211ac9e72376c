#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/metrics.h"
#include "base/page.h"
#include "base/page_query.h"
#include "hub/share_home.h"
#include "hub/share_letters.h"
#include "hub/share_state.h"
#include "hub/slots.h"

namespace sluice::hub {

// The shared subscriptions of this shard's subscribers (MQTT 5, section 4.8.2): its members of
// groups, whose home may be any shard, and the letters to and from there.
//
// The home gives a member records against its window; the member's shard hands them to its sink,
// says in the answer how many were taken, and reports later which are settled: for a home
// elsewhere once a turn, and only when the report before was received. What waits for that is no
// more than the members' windows.
class Shares {
 public:
  Shares(Group& group, ShardId shard, const ShareGroup::Context& context, Metrics& metrics,
         std::function<Shares&(ShardId)> on_shard);

  // Before the first subscription; of the groups whose home is this shard.
  void set_store(sessions::Groups& store) { home_.set_store(store); }

  // As those of Hub, for "$share/<name>/<filter>". `holder`: client id of a stored session, or
  // empty.
  void subscribe(Handle subscriber, const std::string& text, const SubscribeOptions& options,
                 const std::string& holder, Done<void> done);
  void restore(Handle subscriber, const StoredFilter& filter, Done<void> done);
  bool unsubscribe(Handle subscriber, std::string_view text);
  [[nodiscard]] bool has(Handle subscriber, std::string_view text);
  void describe(Handle subscriber, SubscriberState& state);  // adds its shared subscriptions
  void remove(Handle subscriber);
  void resume(Handle subscriber);
  void settle(Handle membership, std::span<const std::uint64_t> tickets);
  void keep(Handle membership, std::span<const std::uint64_t> tickets);
  [[nodiscard]] sessions::ShareId share_of(Handle subscriber, std::string_view text);
  [[nodiscard]] bool holds_any(Handle subscriber) const;
  void save(Handle subscriber, Done<void> done);
  void save_home(Done<void> done) { home_.save_all(std::move(done)); }
  void end_turn();  // sends what is to be reported

  // --- for administrators (shares_admin.cc), as those of Hub
  void list(const PageQuery& query, Done<Page<ShareSummary>> done);
  void find_group(const std::string& text, Done<std::optional<ShareSummary>> done);
  void show_group(const std::string& text, Done<std::optional<ShareDetails>> done);
  void remove_group(const std::string& text, Done<bool> done);

 private:
  struct Membership {
    Handle subscriber;
    std::string text;
    ShardId home;
    SubscribeOptions options;
    sessions::ShareId share = 0;  // of a holder
    std::uint32_t mark = 0;       // of the group, for a stored session (sessions::group_mark)
    MemberAtHome at_home;         // known with the answer to the first join, or the first records
    std::uint32_t open = 0;       // records that were taken and are not settled
    std::uint32_t round = 0;      // as ShareGroup::Member has it
    bool joined = false;          // the first join was answered
    bool blocked = false;         // took less than it was given; until resume()
    bool stopped = false;         // has unsubscribed
    bool left = false;            // the subscriber is gone
  };
  struct Saving {
    Handle group;
    Done<void> done;
  };
  // To one home.
  struct Outbox {
    std::vector<ShareReport> reports;
    std::vector<Saving> saves;  // asked for behind these reports
    bool under_way = false;     // earlier ones are
    [[nodiscard]] bool has_letter() const { return !reports.empty() || !saves.empty(); }
  };

  [[nodiscard]] ShardId home_of(std::string_view text) const;
  [[nodiscard]] Handle find(Handle subscriber, std::string_view text);
  Handle add(Handle subscriber, const std::string& text);
  void ask_to_join(Handle handle, const std::string& holder, Done<void> done);
  void on_joined(Handle handle, const ShareJoined& joined);
  void end_membership(Handle handle);
  void release_share(ShardId home, const std::string& text, sessions::ShareId share);
  void stop(Membership& membership);
  void leave(Handle handle);
  void forget_if_over(Handle handle);
  void report(const Membership& membership, ShareReport::Kind kind, std::uint64_t first = 0,
              std::uint32_t count = 0);
  void report_tickets(const Membership& membership, ShareReport::Kind kind,
                      std::span<const std::uint64_t> tickets);
  void save_group(ShardId home, Saving saving);
  void ask_to_save(ShardId home, Saving saving);
  void send_reports(ShardId home);

  template <class T>
  void ask_home(ShardId home, std::move_only_function<void(ShareHome&, Done<T>)> work,
                Done<T> done);
  void name_members(ShareDetails details, Done<std::optional<ShareDetails>> done);
  void name_own(std::vector<ShareMember>& members);

  void deliver(std::shared_ptr<SharePortion> portion, Task answered);
  void take(SharePortion& portion);
  std::uint32_t take_part(const SharePortion& portion, const SharePortion::Part& part);
  std::uint32_t hand_over(Handle handle, const SharePortion& portion,
                          const SharePortion::Part& part);

  hub::Group& group_;
  const ShardId shard_;
  runtime::Loop& loop_;
  Distributor& distributor_;
  const std::function<Shares&(ShardId)> on_shard_;
  ShareHome home_;
  Gauge& count_;

  Slots<Membership> memberships_;
  // Also those that have stopped and are not settled. By the subscriber's index.
  std::unordered_map<std::uint32_t, std::vector<Handle>> of_subscribers_;
  std::vector<Outbox> outboxes_;      // by home
  std::vector<Delivery> deliveries_;  // reused
};

}  // namespace sluice::hub
