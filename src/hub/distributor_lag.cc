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
  if (!subscriber->lag) subscriber->lag = std::make_unique<Lag>();
  Lag& lag = *subscriber->lag;
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

void Distributor::sweep(SourceId id) {
  Source* source = find_same(id);
  if (!source) return;
  Offset from = source->next;
  source->cohort.begin(source->next);
  // Whoever is there again leaves the list: all of them in one go, for they may be many.
  std::erase_if(source->lagging, [&](Handle handle) {
    Subscriber* subscriber = subscriptions_.find(handle);
    SLUICE_ASSERT(subscriber && subscriber->lag);
    Lag::At& at = *subscriber->lag->find(id.partition);
    at.aboard = false;
    if (subscriber->lag->blocked || at.stopped()) return false;
    if (at.next == source->next) {
      end_lag(*source, handle);
      return true;
    }
    if (at.next > source->next) {
      source->ahead = std::min(source->ahead, at.next);  // looked at again then: reach()
    } else {
      from = std::min(from, at.next);
      at.aboard = true;
      source->cohort.add(handle);
    }
    return false;
  });
  source->sweeping = !source->cohort.is_empty();
  if (!source->sweeping) return;
  source->swept = from;
  renew_hint(*source);
  stream_.read(id.partition, from, read_size, stream::Want::records, source->cohort.hint,
               [this, id](Result<stream::ReadAnswer> answer) { on_swept(id, answer); });
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
    advance(*source, block->until());
  }
  // Beyond what was read there is nothing that anybody aboard wants, up to answer->next.
  const bool nothing = answer->blocks.empty() && answer->next <= source->swept;
  const Offset end = source->cohort.end;
  advance(*source, nothing ? end : std::min(answer->next, end));
  loop_.post([this, id] { sweep(id); });
}

// Everybody who takes part in the sweep has what lies below `reached`.
void Distributor::advance(Source& source, Offset reached) {
  for (const Handle handle : source.lagging) {
    Subscriber* subscriber = subscriptions_.find(handle);
    if (!subscriber || subscriber->lag->blocked) continue;
    Lag::At* at = subscriber->lag->find(source.partition);
    if (!at->aboard || at->next < source.swept || at->stopped()) continue;
    at->next = std::max(at->next, std::min(reached, at->stop));
    if (at->stopped()) snapshots_.wake(handle);
  }
  source.swept = std::max(source.swept, reached);
}

// Retention has overtaken somebody: counted, said, and on from the start of the log.
void Distributor::skip_lost(SourceId id, Task again) {
  stream_.bounds(
      id.partition, [this, id, again = std::move(again)](Result<stream::Bounds> bounds) mutable {
        Source* source = find_same(id);
        if (!source) return;
        const Offset start = bounds ? bounds->start : Offset{0};
        bool moved = source->behind && source->next < start;
        if (moved) {
          count_lost(*source, start - source->next);
          reach(*source, start);
        }
        // A sink may end its subscriber, and with it the source.
        for (const Handle handle : std::vector(source->lagging)) {
          if (source = find_same(id); !source) return;
          const Subscriber* subscriber = subscriptions_.find(handle);
          const Lag::At* at =
              subscriber && subscriber->lag ? subscriber->lag->find(id.partition) : nullptr;
          if (!at || at->next >= start) continue;
          moved = true;
          skip_to(*source, handle, start);
        }
        if (moved) return loop_.post(std::move(again));
        loop_.run_after(retry_delay, std::move(again));
      });
}

void Distributor::skip_to(Source& source, Handle handle, Offset start) {
  const Subscriber& subscriber = *subscriptions_.find(handle);
  Offset& next = subscriber.lag->find(source.partition)->next;
  const std::int64_t lost = start - std::exchange(next, start);
  if (tracer_.active()) trace_position("lost_to_retention", source, subscriber, start);
  count_lost(source, lost);
  subscriber.sink->on_lost(static_cast<std::uint64_t>(lost));
}

void Distributor::count_lost(const Source& source, std::int64_t offsets) {
  lost_.add(static_cast<std::uint64_t>(offsets));
  if (log_limit_.allow(loop_.wall_ms()))
    logger.warn("a subscriber was overtaken by retention",
                {{"stream", source.stream}, {"lost_offsets", offsets}});
}

}  // namespace sluice::hub
