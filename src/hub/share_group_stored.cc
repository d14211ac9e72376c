// Groups of shared subscriptions that outlive their members: taken up from the store, and saved.
#include <algorithm>
#include <chrono>
#include <utility>

#include "base/logger.h"
#include "base/together.h"
#include "hub/share_group.h"
#include "topic/topic.h"

namespace sluice::hub {

namespace {

constexpr Logger logger("hub");
constexpr runtime::Duration retry_delay = std::chrono::seconds(1);

}  // namespace

// --- taken up

// Members that join meanwhile wait for their answer.
void ShareGroup::load() {
  context_.store->open(
      text_,
      when_alive([](ShareGroup& group, const Result<std::optional<sessions::GroupState>>& found) {
        if (found) return group.begin(*found);
        if (found.error().code == Errc::closed) return;
        logger.warn("a shared subscription could not be taken up; tried again",
                    {{"subscription", group.text_}, {"reason", found.error().text}});
        group.context_.loop.run_after(retry_delay,
                                      group.when_alive([](ShareGroup& again) { again.load(); }));
      }));
}

void ShareGroup::begin(const std::optional<sessions::GroupState>& state) {
  const std::string filter(topic::parse_shared(text_).value()->filter);
  moved_ = true;  // what was taken up is no more as it was stored
  if (!state) {
    context_.distributor.subscribe(
        subscriber_, filter, {.qos = 2},
        when_alive([](ShareGroup& group, const Result<void>&) { group.on_subscribed(); }));
    return;
  }
  returned_ = state->open;
  taken_ = state->taken;
  std::ranges::sort(returned_);
  std::ranges::sort(taken_);
  context_.distributor.restore(subscriber_, {{.text = filter, .options = {.qos = 2}, .since = {}}},
                               state->next, when_alive([](ShareGroup& group, const Result<void>&) {
                                 group.on_subscribed();
                                 group.context_.distributor.resume(group.subscriber_);
                                 group.wake();
                               }));
}

// --- saved

// A holder counts from when it is durable that it is one, and where the group is by then. It is
// given nothing before: after a crash its session would not be asked for that.
void ShareGroup::answer_join(const MemberAtHome& name, const std::string& holder, OnJoined done) {
  sessions::Groups* const store = context_.store;
  const auto answer = std::make_shared<ShareJoined>();
  answer->member = name;
  if (!store || (holder.empty() && !topic::is_queue(text_))) return done(std::move(*answer));
  const auto end_wait = when_alive([handle = answer->member.member](ShareGroup& group) {
    Member* member = group.members_.find(handle);
    if (!member) return;
    member->waits = false;
    group.renew_ready(handle);
  });
  const Together together(2,
                          [answer, end_wait, done = std::move(done)](Result<void> result) mutable {
                            answer->result = std::move(result);
                            end_wait();
                            done(std::move(*answer));
                          });
  if (holder.empty())
    together.answer()({});
  else
    store->add_holder(
        text_, holder,
        [answer,
         note = when_alive([handle = name.member](ShareGroup& group, sessions::ShareId share) {
           if (Member* member = group.members_.find(handle)) member->share = share;
         }),
         part = together.answer()](Result<sessions::ShareId> share) mutable {
          if (!share) return part(std::unexpected(std::move(share.error())));
          note(*share);
          answer->share = *share;
          part({});
        });
  moved_ |= !holder.empty();  // it may not have been saved while nobody held it
  save(together.answer());
}

void ShareGroup::release(sessions::ShareId share) {
  Member* found = nullptr;
  members_.for_each([&](std::uint32_t index, const Member& member) {
    if (member.share == share) found = &members_.at(index);
  });
  if (!found) return remove_holder(share);
  found->released = true;
}

void ShareGroup::remove_holder(sessions::ShareId share) {
  save([store = context_.store, text = text_, share](const Result<void>& saved) {
    if (saved) store->remove_holder(text, share);
  });
}

void ShareGroup::save(Done<void> done) {
  if (!context_.store || !subscribed_) return done({});
  saves_.push_back(std::move(done));
  if (!saving_) save_next();
}

void ShareGroup::save_next() {
  under_way_ = std::exchange(saves_, {});
  saving_ = true;
  if (!std::exchange(moved_, false)) return on_saved({});
  context_.store->save(
      text_, state(),
      when_alive([](ShareGroup& group, const Result<void>& result) { group.on_saved(result); }));
}

void ShareGroup::on_saved(const Result<void>& result) {
  saving_ = false;
  if (!result) moved_ = true;
  for (Done<void>& done : std::exchange(under_way_, {})) done(result);
  if (!saving_ && !saves_.empty()) save_next();
}

// What members were given of a block that the cursor has not passed yet is left out, for it would
// be read again.
sessions::GroupState ShareGroup::state() {
  sessions::GroupState state;
  state.next = context_.distributor.positions(subscriber_);
  std::ranges::sort(state.next);
  const auto is_passed = [&](const Position& position) {
    const auto next =
        std::ranges::lower_bound(state.next, position.partition, {}, &Position::partition);
    return next != state.next.end() && next->partition == position.partition &&
           position.offset < next->offset;
  };
  members_.for_each([&](std::uint32_t, const Member& member) {
    member.open.for_each([&](const OpenRecords::Record& record) {
      if (!record.kept && is_passed(record.position))
        state.open.push_back(record.position);
      else if (record.kept && !is_passed(record.position))
        state.taken.push_back(record.position);
    });
  });
  state.open.insert(state.open.end(), returned_.begin(), returned_.end());
  std::ranges::sort(state.open);
  std::erase_if(taken_, is_passed);
  state.taken.insert(state.taken.end(), taken_.begin(), taken_.end());
  std::ranges::sort(state.taken);
  return state;
}

// --- for administrators

ShareSummary ShareGroup::summary() {
  return {.text = text_, .members = members_.size(), .places = sessions::places_of(state())};
}

std::vector<ShareMember> ShareGroup::describe_members() {
  std::vector<ShareMember> all;
  members_.for_each([&](std::uint32_t, const Member& member) {
    if (all.size() == ShareDetails::members_max) return;
    all.push_back({.shard = member.shard,
                   .membership = member.membership,
                   .qos = member.qos,
                   .open = member.open.size(),
                   .has_left = member.stopped,
                   .is_full = member.full || member.blocked});
  });
  return all;
}

}  // namespace sluice::hub
