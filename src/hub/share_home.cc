#include "hub/share_home.h"

#include <utility>

namespace sluice::hub {

ShareHome::ShareHome(const ShareGroup::Context& context, ShardId shard, std::uint32_t shards,
                     ShareGroup::Deliver deliver, Metrics& metrics)
    : context_(context),
      shard_(shard),
      shards_(shards),
      deliver_(std::move(deliver)),
      redelivered_(
          metrics.counter("sluice_shared_redeliveries_total",
                          "Messages of shared subscriptions given again: who had them left, "
                          "or did not take them")),
      lost_(metrics.counter("sluice_messages_dropped_total",
                            "Messages not delivered to a subscriber, by reason",
                            "reason=\"retention\"")) {}

void ShareHome::join(const ShareJoin& join, std::move_only_function<void(MemberAtHome)> done) {
  find_or_make(join.text)->join(join, std::move(done));
}

std::shared_ptr<ShareGroup>& ShareHome::find_or_make(const std::string& text) {
  const auto [place, added] = by_text_.try_emplace(text);
  if (added) {
    place->second = groups_.add({});
    Group& made = *groups_.find(place->second);
    made.text = text;
    made.group =
        std::make_shared<ShareGroup>(context_, shard_, shards_, deliver_, redelivered_, lost_);
    made.group->start(place->second, text);
  }
  return groups_.find(place->second)->group;
}

void ShareHome::report(std::span<const ShareReport> reports) {
  for (const ShareReport& report : reports) {
    Group* found = groups_.find(report.member.group);
    if (!found) continue;
    found->group->report(report);
    if (!found->group->has_members()) end(report.member.group);
  }
}

void ShareHome::end(Handle handle) {
  const Group group = std::move(*groups_.find(handle));
  by_text_.erase(group.text);
  groups_.erase(handle);
}

}  // namespace sluice::hub
