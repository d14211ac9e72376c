// Subscribers that lag, and the sweeps through the log that serve them.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "hub/distributor.h"
#include "hub/key_hints.h"

namespace sluice::hub {

namespace {

constexpr Logger logger("hub");
constexpr std::size_t read_size = 256 << 10;  // of the log, per step of a sweep
constexpr runtime::Duration retry_delay = std::chrono::seconds(1);
// With more, those aboard want so much together that the whole log is read for them.
constexpr std::size_t cohort_filters_max = 1024;

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
  if (blocked && !std::exchange(lag.blocked, true)) lags_.add();
  if (tracer_.active()) trace_position("left_tail", source, *subscriber, next);
  if (Lag::At* at = lag.find(source.partition)) {
    at->next = next;
    at->aboard = false;
  } else {
    lag.add(source.partition, next);
    source.lagging.push_back(handle);
    snapshots_.renew_stops(handle);
  }
  if (!lag.blocked && !lag.find(source.partition)->stopped()) start_sweep(source);
}

void Distributor::join_tail(Source& source, Handle handle) {
  std::erase(source.lagging, handle);
  end_lag(source, handle);
}

// What is left of a subscriber that is in `source.lagging` no more.
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
    if (Source* source = find(at.partition); source && !at.stopped()) start_sweep(*source);
}

void Distributor::kick_sweep(Source& source) {
  if (source.sweeping) return;
  const bool anybody = std::ranges::any_of(source.lagging, [&](Handle handle) {
    const Subscriber* subscriber = subscriptions_.find(handle);
    return subscriber && !subscriber->lag->blocked &&
           !subscriber->lag->find(source.partition)->stopped();
  });
  if (anybody) start_sweep(source);
}

void Distributor::start_sweep(Source& source) {
  if (!source.tailing || std::exchange(source.sweeping, true)) return;
  loop_.post([this, id = source.id()] { sweep(id); });
}

// One step: a read for all who are aboard.
void Distributor::sweep(SourceId id) {
  if (subscriptions_.has_limits() && !keep_limits(id)) return;
  Source* source = find_same(id);
  if (!source) return;
  // When the sweep is through another one begins, from the lowest place on.
  source->sweeping =
      board(*source, source->swept, source->sweep_end) || board(*source, Offset{0}, source->next);
  if (!source->sweeping) return;
  renew_hint(*source);
  stream_.read(id.partition, source->swept, read_size, stream::Want::records, source->cohort.hint,
               [this, id](Result<stream::ReadAnswer> answer) { on_swept(id, answer); });
}

// Who waits at a place from `from` up to `until` takes part; whoever is at the tail again leaves
// the list, all of them in one go, for they may be many. Who stays behind the sweep waits for the
// next one: were the lowest place read first each time, many slow ones would have the same records
// read and matched for each of them. False: there is nobody.
bool Distributor::board(Source& source, Offset from, Offset until) {
  Offset lowest = until;
  source.cohort.begin(source.next);
  std::erase_if(source.lagging, [&](Handle handle) {
    Subscriber* subscriber = subscriptions_.find(handle);
    SLUICE_ASSERT(subscriber && subscriber->lag);
    Lag::At& at = *subscriber->lag->find(source.partition);
    at.aboard = false;
    if (subscriber->lag->blocked || at.stopped()) return false;
    if (at.next == source.next) {
      end_lag(source, handle);
      return true;
    }
    if (at.next > source.next) {
      source.ahead = std::min(source.ahead, at.next);  // looked at again then: reach()
    } else if (at.next >= from && at.next < until) {
      lowest = std::min(lowest, at.next);
      at.aboard = true;
      source.cohort.add(handle);
    }
    return false;
  });
  if (source.cohort.is_empty()) return false;
  source.swept = lowest;
  source.sweep_end = until;
  return true;
}

void Distributor::renew_hint(Source& source) {
  const std::uint64_t filters = subscriptions_.generation();
  const std::uint64_t catalogue = stream_.catalogue().generation();
  Cohort& cohort = source.cohort;
  if (!cohort.is_new(filters, catalogue)) return;
  cohort.hint = nullptr;
  const auto* stream = stream_.catalogue().find(source.partition.stream);
  if (!stream_.caps().key_index || !stream) return;
  KeyHints hints(source.prefix);
  std::size_t count = 0;
  for (const Handle handle : cohort.members)
    for (const Filter& filter : subscriptions_.find(handle)->filters) {
      if (!covers(filter, *stream)) continue;
      if (!hints.add(filter.text) || ++count > cohort_filters_max) return;
    }
  cohort.hint = hints.finish();
}

void Distributor::on_swept(SourceId id, const Result<stream::ReadAnswer>& answer) {
  Source* source = find_same(id);
  if (!source) return;
  if (!answer) {
    const auto again = [this, id] { sweep(id); };
    if (answer.error().code == Errc::out_of_range) return skip_lost(id, again);
    loop_.run_after(retry_delay, again);
    return;
  }
  for (const auto& block : answer->blocks) {
    if (block->from() >= source->cohort.end) break;  // the tail was there: it is read again
    hand_out(*source, block, Readers::lagging);
    if (source = find_same(id); !source) return;
    source->swept = std::max(source->swept, block->until());
  }
  // Beyond what was read there is nothing that anybody aboard wants, up to answer->next.
  const bool nothing = answer->blocks.empty() && answer->next <= source->swept;
  const Offset end = source->cohort.end;
  source->swept = std::max(source->swept, nothing ? end : std::min(answer->next, end));
  note_swept(*source);
  loop_.post([this, id] { sweep(id); });
}

// After a step: everybody aboard has what lies below `swept`.
void Distributor::note_swept(Source& source) {
  for (const Handle handle : source.lagging) {
    const Subscriber* subscriber = subscriptions_.find(handle);
    if (!subscriber) continue;
    Lag::At* at = subscriber->lag->find(source.partition);
    if (!at->aboard || at->stopped()) continue;
    at->next = next_of(source, *subscriber, *at);
    if (at->stopped()) snapshots_.wake(handle);
  }
}

// Where a subscriber that lags is, also within a step.
Offset Distributor::next_of(const Source& source, const Subscriber& subscriber, const Lag::At& at) {
  if (!at.aboard || subscriber.lag->blocked) return at.next;
  return std::max(at.next, std::min(source.swept, at.stop));
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
  if (!at || at->next >= to) return false;
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
