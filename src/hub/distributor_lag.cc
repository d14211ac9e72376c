// Subscribers that lag, and the sweeps through the log that serve them.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "hub/distributor.h"

namespace sluice::hub {

namespace {

constexpr Logger logger("hub");
constexpr std::size_t read_size = 256 << 10;  // of the log, per step of a sweep
constexpr runtime::Duration retry_delay = std::chrono::seconds(1);

}  // namespace

// The tail of a partition is known that a subscribe() waits for.
void Distributor::begin(Source& source, const Waiting& waiting) {
  const auto& [subscribing, has_place] = waiting;
  if (has_place) add_place(source, *subscribing);
  const std::uint32_t partition = source.partition.index;
  if (partition < subscribing->starts.size())
    start_lag(source, subscribing->handle, subscribing->starts[partition], false);
}

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
  } else {
    lag.at.push_back({source.partition, next});
    source.lagging.push_back(handle);
    snapshots_.renew_stops(handle);
  }
  kick_sweep(source);
}

void Distributor::join_tail(Source& source, Handle handle) {
  std::erase(source.lagging, handle);
  Subscriber* subscriber = subscriptions_.find(handle);
  if (!subscriber || !subscriber->lag) return;
  if (tracer_.active()) trace_position("joined_tail", source, *subscriber, source.next);
  std::erase_if(subscriber->lag->at,
                [&](const Lag::At& at) { return at.partition == source.partition; });
  for (Filter& filter : subscriber->filters)
    std::erase_if(filter.since,
                  [&](const Filter::Since& since) { return since.partition == source.partition; });
  if (subscriber->lag->at.empty() && subscriber->lag->snapshots.empty()) subscriber->lag.reset();
}

void Distributor::kick_sweeps(Handle handle) {
  const Subscriber* subscriber = subscriptions_.find(handle);
  if (!subscriber || !subscriber->lag) return;
  for (const Lag::At& at : subscriber->lag->at)
    if (Source* source = find(at.partition)) kick_sweep(*source);
}

void Distributor::kick_sweep(Source& source) {
  if (source.sweeping || !source.tailing) return;
  const bool anybody = std::ranges::any_of(source.lagging, [&](Handle handle) {
    const Subscriber* subscriber = subscriptions_.find(handle);
    return subscriber && !subscriber->lag->blocked &&
           !subscriber->lag->find(source.partition)->stopped();
  });
  if (!anybody) return;
  source.sweeping = true;
  loop_.post([this, id = source.id()] { sweep(id); });
}

void Distributor::sweep(SourceId id) {
  Source* source = find_same(id);
  if (!source) return;
  Offset from = source->next;
  bool anybody = false;
  for (const Handle handle : std::vector(source->lagging)) {
    Subscriber* subscriber = subscriptions_.find(handle);
    SLUICE_ASSERT(subscriber && subscriber->lag);
    const Lag::At& at = *subscriber->lag->find(id.partition);
    if (subscriber->lag->blocked || at.stopped()) continue;
    const Offset next = at.next;
    if (next > source->next) {
      source->ahead = std::min(source->ahead, next);  // looked at again then: reach()
    } else if (next == source->next) {
      join_tail(*source, handle);
    } else {
      from = std::min(from, next);
      anybody = true;
    }
  }
  source->sweeping = anybody;
  if (!anybody) return;
  source->swept = from;
  stream_.read(id.partition, from, read_size, stream::Want::records,
               [this, id](Result<stream::ReadAnswer> answer) { on_swept(id, answer); });
}

void Distributor::on_swept(SourceId id, const Result<stream::ReadAnswer>& answer) {
  Source* source = find_same(id);
  if (!source) return;
  if (!answer) {
    if (answer.error().code == Errc::out_of_range) skip_lost(id.partition);
    loop_.run_after(retry_delay, [this, id] { sweep(id); });
    return;
  }
  for (const auto& block : answer->blocks) {
    if (block->from() >= source->next)
      break;  // not handed out at the tail yet: it comes from there
    hand_out(*source, block, Readers::lagging);
    if (source = find_same(id); !source) return;
    advance(*source, block->until());
  }
  // Beyond what was read there are holes only, up to answer->next.
  const bool nothing = answer->blocks.empty() && answer->next <= source->swept;
  advance(*source, nothing ? source->next : std::min(answer->next, source->next));
  loop_.post([this, id] { sweep(id); });
}

// Everybody who took part in the sweep has what lies below `reached`.
void Distributor::advance(Source& source, Offset reached) {
  for (const Handle handle : source.lagging) {
    Subscriber* subscriber = subscriptions_.find(handle);
    if (!subscriber || subscriber->lag->blocked) continue;
    Lag::At* at = subscriber->lag->find(source.partition);
    if (at->next < source.swept || at->stopped()) continue;
    at->next = std::max(at->next, std::min(reached, at->stop));
    if (at->stopped()) snapshots_.wake(handle);
  }
  source.swept = std::max(source.swept, reached);
}

// Retention has overtaken somebody: counted, said, and on from the start of the log.
void Distributor::skip_lost(Partition partition) {
  stream_.bounds(partition, [this, partition](Result<stream::Bounds> bounds) {
    Source* source = find(partition);
    if (!source || !bounds) return;
    const auto skip = [&](Offset& next) {
      if (next >= bounds->start) return;
      lost_.add(static_cast<std::uint64_t>(bounds->start - next));
      if (log_limit_.allow(loop_.wall_ms()))
        logger.warn("a subscriber was overtaken by retention",
                    {{"stream", source->stream}, {"lost_offsets", bounds->start - next}});
      next = bounds->start;
    };
    if (source->behind) skip(source->next);
    for (const Handle handle : source->lagging)
      if (Subscriber* subscriber = subscriptions_.find(handle)) {
        Offset& next = subscriber->lag->find(partition)->next;
        if (tracer_.active() && next < bounds->start)
          trace_position("lost_to_retention", *source, *subscriber, bounds->start);
        skip(next);
      }
  });
}

}  // namespace sluice::hub
