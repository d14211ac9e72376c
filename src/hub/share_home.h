#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/page.h"
#include "base/page_query.h"
#include "hub/share_group.h"
#include "hub/share_letters.h"
#include "hub/share_state.h"
#include "hub/slots.h"

namespace sluice::hub {

// The groups of shared subscriptions that have their home on this shard: those that have members. A
// group begins with its first member. When the last is gone it ends, or, if somebody holds it, it
// waits in the store, and is in memory no more.
class ShareHome {
 public:
  ShareHome(const ShareGroup::Context& context, ShardId shard, std::uint32_t shards,
            ShareGroup::Deliver deliver, Metrics& metrics);

  // Before the first member. Without it no group outlives its members.
  void set_store(sessions::Groups& store);
  // As ShareGroup::join.
  void join(const ShareJoin& join, ShareGroup::OnJoined done);
  void report(std::span<const ShareReport> reports);
  // As ShareGroup::save; done at once of one that is not there (any more).
  void save(Handle group, Done<void> done);
  void save_all(Done<void> done);
  // A session holds a group no more, or was to hold it and does not.
  void release(const std::string& text, sessions::ShareId share);

  // --- for administrators (share_home_admin.cc), as those of Hub; members without client ids
  void list(const PageQuery& query, Done<Page<ShareSummary>> done);
  void find(const std::string& text, Done<std::optional<ShareSummary>> done);
  void show(const std::string& text, Done<std::optional<ShareDetails>> done);
  void remove(const std::string& text, Done<bool> done);

 private:
  struct Listing;

  std::shared_ptr<ShareGroup>& find_or_make(const std::string& text);
  void on_nobody_takes(Handle group);
  void close_later(Handle group, runtime::Duration delay);
  void close(Handle group);
  void on_saved(Handle group, const Result<void>& result);
  void end(Handle group);

  [[nodiscard]] std::shared_ptr<ShareGroup> in_memory(const std::string& text);
  void add_members(Listing& listing) const;
  void look_at_next(const std::shared_ptr<Listing>& listing);
  [[nodiscard]] ShareSummary stored_summary(const sessions::GroupSummary& stored) const;
  void remove_stored(const std::string& text, Done<bool> done);

  ShareGroup::Context context_;
  const ShardId shard_;
  const std::uint32_t shards_;
  const ShareGroup::Deliver deliver_;
  Counter& redelivered_;
  Counter& lost_;
  struct Group {
    std::string text;
    std::shared_ptr<ShareGroup> group;  // held by nobody else but for the time of a call
    bool closing = false;
  };
  Slots<Group> groups_;
  std::map<std::string, Handle> by_text_;
};

}  // namespace sluice::hub
