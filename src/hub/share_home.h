#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>

#include "base/metrics.h"
#include "hub/share_group.h"
#include "hub/share_letters.h"
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
  void set_store(sessions::Groups& store) { context_.store = &store; }
  // As ShareGroup::join.
  void join(const ShareJoin& join, ShareGroup::OnJoined done);
  void report(std::span<const ShareReport> reports);
  // As ShareGroup::save; done at once of one that is not there (any more).
  void save(Handle group, Done<void> done);
  void save_all(Done<void> done);
  // Somebody who was to hold a group does not.
  void drop_share(const std::string& text, sessions::ShareId share) {
    context_.store->remove_holder(text, share);
  }

 private:
  std::shared_ptr<ShareGroup>& find_or_make(const std::string& text);
  void on_nobody_takes(Handle group);
  void close_later(Handle group, runtime::Duration delay);
  void close(Handle group);
  void on_saved(Handle group, const Result<void>& result);
  void end(Handle group);

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
