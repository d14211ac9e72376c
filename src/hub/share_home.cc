#include "hub/share_home.h"

#include <chrono>
#include <utility>

#include "base/logger.h"
#include "base/together.h"

namespace sluice::hub {

namespace {

constexpr Logger logger("hub");
constexpr runtime::Duration retry_delay = std::chrono::seconds(1);

}  // namespace

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

void ShareHome::join(const ShareJoin& join, ShareGroup::OnJoined done) {
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
    if (!found->group->has_members()) on_nobody_takes(report.member.group);
  }
}

void ShareHome::on_nobody_takes(Handle handle) {
  const Group& group = *groups_.find(handle);
  const auto* store = context_.store;
  const bool is_kept = store && (store->is_kept(group.text) || group.group->is_saving());
  if (!is_kept) return end(handle);
  if (group.group->is_empty()) close_later(handle, {});
}

// --- the store

void ShareHome::set_store(sessions::Groups& store) {
  context_.store = &store;
  store.set_on_released(
      [this](const std::string& text, sessions::ShareId share) { release(text, share); });
}

void ShareHome::release(const std::string& text, sessions::ShareId share) {
  if (const auto group = in_memory(text)) return group->release(share);
  context_.store->remove_holder(text, share);
}

void ShareHome::save(Handle handle, Done<void> done) {
  Group* found = groups_.find(handle);
  if (!found) return done({});
  const auto group = found->group;
  group->save(std::move(done));
}

void ShareHome::save_all(Done<void> done) {
  const Together together(groups_.size() + 1, std::move(done));
  groups_.for_each(
      [&](std::uint32_t, const Group& group) { group.group->save(together.answer()); });
  together.answer()({});
}

// Not within a call of the group, which may be in the middle of a block.
void ShareHome::close_later(Handle handle, runtime::Duration delay) {
  context_.loop.run_after(delay, [this, handle, weak = std::weak_ptr(groups_.find(handle)->group)] {
    if (weak.lock()) close(handle);
  });
}

// The last member is gone, and has nothing more to settle. Somebody may join while the group is
// saved; then it just goes on.
void ShareHome::close(Handle handle) {
  Group& found = *groups_.find(handle);
  const auto group = found.group;
  if (!group->is_empty() || std::exchange(found.closing, true)) return;
  group->save([this, handle, weak = std::weak_ptr(group)](const Result<void>& saved) {
    if (weak.lock()) on_saved(handle, saved);
  });
}

void ShareHome::on_saved(Handle handle, const Result<void>& result) {
  Group& group = *groups_.find(handle);
  group.closing = false;
  if (!group.group->is_empty()) return;
  if (result || result.error().code == Errc::closed) return end(handle);
  logger.warn("a shared subscription without members could not be stored; tried again",
              {{"subscription", group.text}, {"reason", result.error().text}});
  close_later(handle, retry_delay);
}

void ShareHome::end(Handle handle) {
  const Group group = std::move(*groups_.find(handle));
  if (context_.store) context_.store->close(group.text);
  by_text_.erase(group.text);
  groups_.erase(handle);
}

}  // namespace sluice::hub
