// Subscribers that lag: how they come to, where they are, and what they lose. What serves them is
// in distributor_sweep.cc.
#include <algorithm>
#include <utility>

#include "hub/distributor.h"

namespace sluice::hub {

namespace {

constexpr Logger logger("hub");
constexpr runtime::Duration retry_delay = std::chrono::seconds(1);

}  // namespace

// Everything below `next` was handed out at the tail.
void Distributor::reach(Source& source, Offset next) {
  source.next = std::max(source.next, next);
  if (source.next < source.ahead) return;
  source.ahead = Lag::no_stop;
  kick_sweep(source);
}

void Distributor::start_lag(Source& source, Handle handle, Offset next, bool blocked) {
  Subscriber* subscriber = subscriptions_.find(handle);
  if (!subscriber) return;
  Lag& lag = subscriptions_.lag_of(*subscriber);
  if (blocked) note_places(*subscriber);
  if (blocked && !std::exchange(lag.blocked, true)) lags_.add();
  if (tracer_.active()) trace_position("left_tail", source, *subscriber, next);
  if (Lag::At* at = lag.find(source.partition)) {
    at->next = next;
    at->sweep = 0;
  } else {
    lag.add(source.partition, next);
    source.lagging.push_back(handle);
    snapshots_.renew_stops(handle);
  }
  call(source, handle);
}

// One who lags is removed. Its handle stays in the list until many have gone: to look for each
// would take long when a hundred thousand leave.
void Distributor::note_gone(Source& source) {
  if (++source.gone <= source.lagging.size() / 2) return;
  std::erase_if(source.lagging, [this](Handle handle) { return !subscriptions_.find(handle); });
  source.gone = 1;  // the one in question is there yet
}

// What is left of a subscriber that is in `source.lagging` no more: it is at the tail, or wants
// nothing of the partition.
void Distributor::end_lag(Source& source, Handle handle) {
  Subscriber* subscriber = subscriptions_.find(handle);
  if (!subscriber || !subscriber->lag) return;
  if (tracer_.active()) trace_position("joined_tail", source, *subscriber, source.next);
  std::erase_if(subscriber->lag->at,
                [&](const Lag::At& at) { return at.partition == source.partition; });
  for (Filter& filter : subscriber->filters)
    std::erase_if(filter.since,
                  [&](const Filter::Since& since) { return since.partition == source.partition; });
  if (subscriber->lag->is_over()) subscriber->lag.reset();
}

// Of one who can take more.
void Distributor::kick_sweeps(Handle handle) {
  const Subscriber* subscriber = subscriptions_.find(handle);
  if (!subscriber || !subscriber->lag || subscriber->lag->blocked) return;
  for (const Lag::At& at : subscriber->lag->at)
    if (Source* source = find(at.partition)) call(*source, handle);
}

void Distributor::kick_sweep(Source& source) {
  for (const Handle handle : source.lagging) call(source, handle);
}

// Where a subscriber that lags is. While it is aboard a sweep `at.next` is where it was when it
// boarded, or when its place was noted.
Offset Distributor::next_of(const Source& source, const Subscriber& subscriber, const Lag::At& at) {
  if (at.sweep == 0 || subscriber.lag->blocked) return at.next;
  return std::max(at.next, std::min(source.sweeps[at.sweep - 1u].swept, at.stop));
}

void Distributor::note_places(const Subscriber& subscriber) {
  if (!subscriber.lag) return;
  for (Lag::At& at : subscriber.lag->at)
    if (const Source* source = find(at.partition)) at.next = next_of(*source, subscriber, at);
}

// Retention has overtaken somebody: on from the start of the log.
void Distributor::skip_lost(SourceId id, Task again) {
  stream_.bounds(id.partition,
                 [this, id, again = std::move(again)](Result<stream::Bounds> bounds) mutable {
                   Source* source = find_same(id);
                   if (!source) return;
                   const Offset start = bounds ? bounds->start : Offset{0};
                   bool moved = source->behind && source->next < start;
                   if (moved) skip_tail_to(*source, start);
                   // A sink may end its subscriber, and with it the source.
                   if (source = find_same(id); !source) return;
                   for (const Handle handle : std::vector(source->lagging)) {
                     if (source = find_same(id); !source) return;
                     if (skip_to(*source, handle, start, Loss::retention)) moved = true;
                   }
                   if (source = find_same(id); !source) return;
                   for (Sweep& sweep : source->sweeps) close_ranks(*source, sweep);
                   if (moved) return loop_.post(std::move(again));
                   loop_.run_after(retry_delay, std::move(again));
                 });
}

// The shard itself is behind, and so is everybody whom it has at the tail. The source may be gone
// afterwards.
void Distributor::skip_tail_to(Source& source, Offset start) {
  const SourceId id = source.id();
  const auto* stream = stream_.catalogue().find(id.partition.stream);
  const std::int64_t offsets = start - source.next;
  std::vector<Handle> at_tail;
  subscriptions_.for_each([&](std::uint32_t index, const Subscriber& subscriber) {
    const bool lags = subscriber.lag && subscriber.lag->find(id.partition);
    const bool is_covered = stream && std::ranges::any_of(subscriber.filters, [&](const Filter& f) {
                              return covers(f, *stream);
                            });
    if (!lags && is_covered) at_tail.push_back(subscriptions_.handle(index));
  });
  reach(source, start);
  for (const Handle handle : at_tail)
    if (const Source* still = find_same(id)) tell_lost(*still, handle, Loss::retention, offsets);
}

// False: it wants nothing below `to`, or is gone.
bool Distributor::skip_to(Source& source, Handle handle, Offset to, Loss why) {
  const Subscriber* subscriber = subscriptions_.find(handle);
  Lag::At* at = subscriber && subscriber->lag ? subscriber->lag->find(source.partition) : nullptr;
  if (!at) return false;
  at->next = next_of(source, *subscriber, *at);
  if (at->next >= to) return false;
  const std::int64_t offsets = to - std::exchange(at->next, to);
  if (at->stopped()) snapshots_.wake(handle);
  if (tracer_.active())
    trace_position(why == Loss::retention ? "lost_to_retention" : "lost_to_lag_limit", source,
                   *subscriber, to);
  tell_lost(source, handle, why, offsets);
  return true;
}

// Counted, and said.
void Distributor::tell_lost(const Source& source, Handle handle, Loss why, std::int64_t offsets) {
  const Subscriber* subscriber = subscriptions_.find(handle);
  if (!subscriber) return;
  const auto count = static_cast<std::uint64_t>(offsets);
  (why == Loss::retention ? skipped_retention_ : skipped_lag_limit_).add(count);
  if (log_limit_.allow(loop_.wall_ms()))
    logger.warn(why == Loss::retention ? "a subscriber was overtaken by retention"
                                       : "a subscriber was further behind than its limit allows",
                {{"client", subscriber->sink->who().client},
                 {"stream", source.stream},
                 {"partition", source.partition.index},
                 {"skipped_offsets", offsets},
                 {"suppressed", log_limit_.take_suppressed()}});
  subscriber->sink->on_lost(why, count);
}

}  // namespace sluice::hub
