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

// The groups of shared subscriptions that have their home on this shard. A group begins with its
// first member and ends with its last.
class ShareHome {
 public:
  ShareHome(const ShareGroup::Context& context, ShardId shard, std::uint32_t shards,
            ShareGroup::Deliver deliver, Metrics& metrics);

  // As ShareGroup::join.
  void join(const ShareJoin& join, std::move_only_function<void(MemberAtHome)> done);
  void report(std::span<const ShareReport> reports);

 private:
  std::shared_ptr<ShareGroup>& find_or_make(const std::string& text);
  void end(Handle group);

  const ShareGroup::Context context_;
  const ShardId shard_;
  const std::uint32_t shards_;
  const ShareGroup::Deliver deliver_;
  Counter& redelivered_;
  Counter& lost_;
  struct Group {
    std::string text;
    std::shared_ptr<ShareGroup> group;
  };
  Slots<Group> groups_;
  std::map<std::string, Handle> by_text_;
};

}  // namespace sluice::hub
