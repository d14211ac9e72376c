#include "hub/shares.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/together.h"
#include "runtime/ask.h"

namespace sluice::hub {

Shares::Shares(Group& group, ShardId shard, const ShareGroup::Context& context, Metrics& metrics,
               std::function<Shares&(ShardId)> on_shard)
    : group_(group),
      shard_(shard),
      loop_(context.loop),
      distributor_(context.distributor),
      on_shard_(std::move(on_shard)),
      home_(
          context, shard, group.mailboxes().shards(),
          [this](std::shared_ptr<SharePortion> portion, Task answered) {
            deliver(std::move(portion), std::move(answered));
          },
          metrics),
      count_(metrics.gauge("sluice_shared_subscriptions", "Shared subscriptions of clients")),
      outboxes_(group.mailboxes().shards()) {}

ShardId Shares::home_of(std::string_view text) const {
  return shard_of_slot(sessions::slot_of_group(text), static_cast<std::uint32_t>(outboxes_.size()));
}

// --- who shares what

Handle Shares::find(Handle subscriber, std::string_view text) {
  const auto list = of_subscribers_.find(subscriber.index);
  if (list == of_subscribers_.end()) return {};
  for (const Handle handle : list->second) {
    const Membership& membership = *memberships_.find(handle);
    if (!membership.stopped && membership.text == text) return handle;
  }
  return {};
}

bool Shares::has(Handle subscriber, std::string_view text) {
  return find(subscriber, text).valid();
}

void Shares::describe(Handle subscriber, SubscriberState& state) {
  const auto list = of_subscribers_.find(subscriber.index);
  if (list == of_subscribers_.end()) return;
  for (const Handle handle : list->second) {
    const Membership& membership = *memberships_.find(handle);
    if (!membership.stopped) state.subscriptions.push_back({membership.text, membership.options});
  }
}

Handle Shares::add(Handle subscriber, const std::string& text) {
  const Handle handle = memberships_.add({.subscriber = subscriber,
                                          .text = text,
                                          .home = home_of(text),
                                          .options = {},
                                          .at_home = {}});
  of_subscribers_[subscriber.index].push_back(handle);
  count_.add(1);
  return handle;
}

void Shares::subscribe(Handle subscriber, const std::string& text, const SubscribeOptions& options,
                       const std::string& holder, Done<void> done) {
  Handle handle = find(subscriber, text);
  if (!handle.valid()) handle = add(subscriber, text);
  Membership& membership = *memberships_.find(handle);
  membership.options = options;
  if (!holder.empty()) membership.mark = sessions::group_mark(text);
  ask_to_join(handle, membership.share == 0 ? holder : std::string(), std::move(done));
}

void Shares::restore(Handle subscriber, const StoredFilter& filter, Done<void> done) {
  const Handle handle = add(subscriber, filter.text);
  Membership& membership = *memberships_.find(handle);
  membership.options = filter.options;
  membership.share = filter.share;
  membership.mark = sessions::group_mark(filter.text);
  ask_to_join(handle, {}, std::move(done));
}

void Shares::ask_to_join(Handle handle, const std::string& holder, Done<void> done) {
  const Membership& membership = *memberships_.find(handle);
  const auto answer = std::make_shared<ShareJoined>();
  runtime::ask(
      group_.mailboxes(), shard_, membership.home,
      [this, answer, home = membership.home,
       join = ShareJoin{membership.text, shard_, handle, membership.options.qos,
                        membership.options.window, holder, membership.share}](Task reply) {
        on_shard_(home).home_.join(join,
                                   [answer, reply = std::move(reply)](ShareJoined joined) mutable {
                                     *answer = std::move(joined);
                                     reply();
                                   });
      },
      [this, answer, handle, done = std::move(done)]() mutable {
        on_joined(handle, *answer);
        if (!answer->result) end_membership(handle);
        done(std::move(answer->result));
      });
}

void Shares::on_joined(Handle handle, const ShareJoined& joined) {
  Membership* membership = memberships_.find(handle);
  if (!membership) return;
  if (joined.share != 0) {
    if (membership->stopped) release_share(membership->home, membership->text, joined.share);
    membership->share = joined.share;
  }
  if (std::exchange(membership->joined, true)) return;
  membership->at_home = joined.member;
  if (membership->left) return leave(handle);
  if (!membership->stopped) return;
  report(*membership, ShareReport::Kind::stopped);
  forget_if_over(handle);
}

bool Shares::unsubscribe(Handle subscriber, std::string_view text) {
  const Handle handle = find(subscriber, text);
  if (!handle.valid()) return false;
  end_membership(handle);
  return true;
}

void Shares::end_membership(Handle handle) {
  Membership* membership = memberships_.find(handle);
  if (!membership || membership->stopped) return;
  stop(*membership);
  if (membership->joined) report(*membership, ShareReport::Kind::stopped);
  forget_if_over(handle);
}

// Who was to store it went before it was there.
void Shares::release_share(ShardId home, const std::string& text, sessions::ShareId share) {
  runtime::ask(
      group_.mailboxes(), shard_, home,
      [this, home, text, share](Task reply) {
        on_shard_(home).home_.release(text, share);
        reply();
      },
      [] {});
}

sessions::ShareId Shares::share_of(Handle subscriber, std::string_view text) {
  const Handle handle = find(subscriber, text);
  return handle.valid() ? memberships_.find(handle)->share : 0;
}

void Shares::stop(Membership& membership) {
  if (!std::exchange(membership.stopped, true)) count_.add(-1);
}

void Shares::remove(Handle subscriber) {
  const auto list = of_subscribers_.extract(subscriber.index);
  if (!list) return;
  for (const Handle handle : list.mapped()) {
    stop(*memberships_.find(handle));
    leave(handle);
  }
}

void Shares::leave(Handle handle) {
  Membership& membership = *memberships_.find(handle);
  membership.left = true;
  if (!membership.joined) return;
  report(membership, ShareReport::Kind::left);
  memberships_.erase(handle);
}

// One that has unsubscribed is kept until its records are settled.
void Shares::forget_if_over(Handle handle) {
  const Membership* membership = memberships_.find(handle);
  if (!membership || !membership->stopped || !membership->joined || membership->open > 0) return;
  const auto list = of_subscribers_.find(membership->subscriber.index);
  std::erase(list->second, handle);
  if (list->second.empty()) of_subscribers_.erase(list);
  memberships_.erase(handle);
}

// --- records from the home

void Shares::deliver(std::shared_ptr<SharePortion> portion, Task answered) {
  const ShardId to = portion->shard;
  runtime::ask(
      group_.mailboxes(), shard_, to,
      [this, to, portion = std::move(portion)](Task reply) {
        on_shard_(to).take(*portion);
        reply();
      },
      std::move(answered));
}

void Shares::take(SharePortion& portion) {
  for (SharePortion::Part& part : portion.parts) part.taken = take_part(portion, part);
  portion.block.reset();
}

// Who has refused something takes nothing that was sent before the home knew: it would come before
// what was refused.
std::uint32_t Shares::take_part(const SharePortion& portion, const SharePortion::Part& part) {
  Membership* membership = memberships_.find(part.membership);
  if (!membership || membership->stopped || part.round < membership->round) return 0;
  membership->at_home = part.member;
  membership->open += part.count;  // the sink may settle some within the call
  const std::uint32_t taken = hand_over(part.membership, portion, part);
  if (membership = memberships_.find(part.membership); !membership) return taken;
  membership->open -= part.count - taken;
  if (taken < part.count) {
    ++membership->round;
    membership->blocked = true;
  }
  forget_if_over(part.membership);
  return taken;
}

std::uint32_t Shares::hand_over(Handle handle, const SharePortion& portion,
                                const SharePortion::Part& part) {
  const Membership& membership = *memberships_.find(handle);
  if (distributor_.is_held(membership.subscriber)) return 0;
  const SubscribeOptions options = membership.options;
  const std::span ids(&options.id, options.id == 0 ? 0 : 1);
  const Grant grant{
      .qos = options.qos, .retain_as_published = options.retain_as_published, .ids = ids};
  deliveries_.clear();
  for (const auto& [record, count] : part.runs) deliveries_.push_back({record, count, &grant});
  SubscriberSink* sink = distributor_.sink_of(membership.subscriber);
  SLUICE_ASSERT(sink);
  return static_cast<std::uint32_t>(sink->on_records({.prefix = portion.prefix,
                                                      .block = portion.block,
                                                      .deliveries = deliveries_,
                                                      .origin = Origin::shared,
                                                      .partition = portion.partition,
                                                      .membership = handle,
                                                      .first_ticket = part.first_ticket,
                                                      .group = membership.mark}));
}

// --- and what became of them

void Shares::settle(Handle handle, std::span<const std::uint64_t> tickets) {
  Membership* membership = memberships_.find(handle);
  if (!membership) return;
  membership->open -= static_cast<std::uint32_t>(tickets.size());
  report_tickets(*membership, ShareReport::Kind::settled, tickets);
  forget_if_over(handle);
}

void Shares::keep(Handle handle, std::span<const std::uint64_t> tickets) {
  if (const Membership* membership = memberships_.find(handle))
    report_tickets(*membership, ShareReport::Kind::kept, tickets);
}

void Shares::report_tickets(const Membership& membership, ShareReport::Kind kind,
                            std::span<const std::uint64_t> tickets) {
  while (!tickets.empty()) {
    std::uint32_t count = 1;
    while (count < tickets.size() && tickets[count] == tickets[0] + count) ++count;
    report(membership, kind, tickets[0], count);
    tickets = tickets.subspan(count);
  }
}

void Shares::resume(Handle subscriber) {
  const auto list = of_subscribers_.find(subscriber.index);
  if (list == of_subscribers_.end()) return;
  for (const Handle handle : list->second) {
    Membership& membership = *memberships_.find(handle);
    if (std::exchange(membership.blocked, false)) report(membership, ShareReport::Kind::room);
  }
}

void Shares::report(const Membership& membership, ShareReport::Kind kind, std::uint64_t first,
                    std::uint32_t count) {
  const ShareReport report{membership.at_home, kind, first, count};
  if (membership.home == shard_) return home_.report({&report, 1});
  Outbox& outbox = outboxes_[membership.home.value];
  if (!outbox.has_letter()) loop_.need_turn_end(runtime::TurnPhase::gather);
  auto& reports = outbox.reports;
  ShareReport* last = reports.empty() ? nullptr : &reports.back();
  const bool goes_on = last && count > 0 && last->kind == kind &&
                       last->member == membership.at_home && last->first + last->count == first;
  if (goes_on)
    last->count += count;
  else
    reports.push_back(report);
}

void Shares::end_turn() {
  for (std::uint32_t home = 0; home < outboxes_.size(); ++home)
    if (outboxes_[home].has_letter()) send_reports({home});
}

// --- the groups of stored sessions

bool Shares::holds_any(Handle subscriber) const {
  const auto list = of_subscribers_.find(subscriber.index);
  return list != of_subscribers_.end() && std::ranges::any_of(list->second, [this](Handle handle) {
           return memberships_.at(handle.index).share != 0;
         });
}

// Behind what was reported: the home is to have it, too.
void Shares::save(Handle subscriber, Done<void> done) {
  const auto list = of_subscribers_.find(subscriber.index);
  if (list == of_subscribers_.end()) return done({});
  const std::vector<Handle> handles = list->second;
  const Together together(handles.size() + 1, std::move(done));
  for (const Handle handle : handles) {
    const Membership& membership = *memberships_.find(handle);
    if (membership.share == 0 || !membership.joined)
      together.answer()({});
    else
      save_group(membership.home, {membership.at_home.group, together.answer()});
  }
  together.answer()({});
}

void Shares::save_group(ShardId home, Saving saving) {
  if (home == shard_) return home_.save(saving.group, std::move(saving.done));
  Outbox& outbox = outboxes_[home.value];
  if (!outbox.has_letter()) loop_.need_turn_end(runtime::TurnPhase::gather);
  outbox.saves.push_back(std::move(saving));
}

void Shares::send_reports(ShardId home) {
  Outbox& outbox = outboxes_[home.value];
  if (std::exchange(outbox.under_way, true)) return;
  runtime::ask(
      group_.mailboxes(), shard_, home,
      [this, home, reports = std::exchange(outbox.reports, {})](Task reply) {
        on_shard_(home).home_.report(reports);
        reply();
      },
      [this, home, saves = std::exchange(outbox.saves, {})]() mutable {
        for (Saving& saving : saves) ask_to_save(home, std::move(saving));
        outboxes_[home.value].under_way = false;
        if (outboxes_[home.value].has_letter()) send_reports(home);
      });
}

// Apart from the reports, which must not wait for the disk.
void Shares::ask_to_save(ShardId home, Saving saving) {
  const auto answer = std::make_shared<Result<void>>();
  runtime::ask(
      group_.mailboxes(), shard_, home,
      [this, home, group = saving.group, answer](Task reply) {
        on_shard_(home).home_.save(group,
                                   [answer, reply = std::move(reply)](Result<void> result) mutable {
                                     *answer = std::move(result);
                                     reply();
                                   });
      },
      [answer, done = std::move(saving.done)]() mutable { done(std::move(*answer)); });
}

}  // namespace sluice::hub
