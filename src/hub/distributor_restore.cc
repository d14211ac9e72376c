// Subscribers that outlive their connections: where they are, and how they come back.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "hub/distributor.h"

namespace sluice::hub {

namespace {

constexpr Logger logger("hub");
constexpr runtime::Duration retry_delay = std::chrono::seconds(1);

std::optional<Offset> find_in(const std::vector<Position>& sorted, Partition partition) {
  const auto found = std::ranges::lower_bound(sorted, partition, {}, &Position::partition);
  if (found == sorted.end() || found->partition != partition) return std::nullopt;
  return found->offset;
}

void sort_positions(std::vector<StoredFilter>& filters, std::vector<Position>& next) {
  std::ranges::sort(next);
  for (StoredFilter& filter : filters) std::ranges::sort(filter.since);
}

void keep_each_once(std::vector<Partition>& partitions) {
  std::ranges::sort(partitions);
  const auto rest = std::ranges::unique(partitions);
  partitions.erase(rest.begin(), rest.end());
}

// Where one begins that was at `next` when it went; all positions are sorted. A partition that was
// covered later begins at the lowest `since` that names it, or, made since, at its start.
Offset start_in(Partition partition, const std::vector<StoredFilter>& filters,
                const std::vector<Position>& next) {
  if (const auto known = find_in(next, partition)) return *known;
  std::optional<Offset> lowest;
  for (const StoredFilter& filter : filters)
    if (const auto since = find_in(filter.since, partition))
      lowest = std::min(lowest.value_or(*since), *since);
  return lowest.value_or(Offset{0});
}

}  // namespace

// --- where a subscriber is

// What its filters cover, and one more if it is not empty; sorted, each stream once.
std::vector<const stream::StreamInfo*> Distributor::streams_of(const Subscriber& subscriber,
                                                               std::string_view one_more) {
  std::vector<const stream::StreamInfo*> streams;
  if (!one_more.empty()) streams = router_.covered_by(one_more);
  for (const Filter& filter : subscriber.filters)
    for (const auto* stream : covered_by(filter)) streams.push_back(stream);
  std::ranges::sort(streams, {}, &stream::StreamInfo::id);
  const auto rest = std::ranges::unique(streams);
  streams.erase(rest.begin(), rest.end());
  return streams;
}

std::size_t Distributor::count_covered(const Subscriber& subscriber, std::string_view one_more) {
  std::size_t count = 0;
  for (const auto* stream : streams_of(subscriber, one_more)) count += stream->config.partitions;
  return count;
}

std::vector<Position> Distributor::positions(Handle handle) {
  std::vector<Position> all;
  const Subscriber* subscriber = subscriptions_.find(handle);
  if (!subscriber) return all;
  for (const auto* stream : streams_of(*subscriber))
    for (std::uint32_t i = 0; i < stream->config.partitions; ++i) {
      const Partition partition{stream->id, i};
      const Lag::At* at = subscriber->lag ? subscriber->lag->find(partition) : nullptr;
      const Source* source = find(partition);
      if (at)
        all.push_back({partition, source ? next_of(*source, *subscriber, *at) : at->next});
      else if (source && source->tailing)
        all.push_back({partition, source->next});
    }
  return all;
}

std::vector<Position> Distributor::tails(std::string_view filter) {
  std::vector<Position> all;
  for (const auto* stream : router_.covered_by(filter))
    for (std::uint32_t i = 0; i < stream->config.partitions; ++i)
      if (const Source* source = find({stream->id, i}); source && source->tailing)
        all.push_back({source->partition, source->next});
  return all;
}

// Where a filter that is new to a lagging subscriber counts from lies before the tail, as soon as
// the subscriber has come that far.
std::vector<Position> Distributor::since(Handle handle, std::string_view text) {
  std::vector<Position> all = tails(text);
  Subscriber* subscriber = subscriptions_.find(handle);
  const Filter* filter = subscriber ? subscriber->find(text) : nullptr;
  if (!filter || !subscriber->lag) return all;
  for (Position& position : all) {
    const Lag::At* at = subscriber->lag->find(position.partition);
    if (!at) continue;
    position.offset = next_of(*find(position.partition), *subscriber, *at);
    for (const Filter::Since& since : filter->since)
      if (since.partition == position.partition)
        position.offset = std::max(position.offset, since.offset);
  }
  return all;
}

// --- how it comes back

void Distributor::restore(Handle handle, std::vector<StoredFilter> filters,
                          std::vector<Position> next, Done<void> done,
                          const std::vector<sessions::RetainedRest>& rests) {
  hold(handle);
  sort_positions(filters, next);
  const std::vector<Partition> partitions = restore_filters(handle, filters);
  for (const Partition partition : partitions)
    restore_place(handle, filters, *find(partition), start_in(partition, filters, next));
  for (const sessions::RetainedRest& rest : rests) restore_rest(handle, rest);
  auto subscribing = std::make_shared<Subscribing>(
      Subscribing{.tails = 1, .handle = handle, .restores = true, .done = std::move(done)});
  for (const Partition partition : partitions) wait_for_tail(partition, subscribing);
  finish_tail(*subscribing);
}

std::vector<Position> Distributor::restored_positions(std::vector<StoredFilter> filters,
                                                      std::vector<Position> next) const {
  sort_positions(filters, next);
  std::vector<Partition> partitions;
  for (const StoredFilter& filter : filters)
    for (const auto* stream : covered_by({filter.text, filter.options, {}}))
      for (std::uint32_t i = 0; i < stream->config.partitions; ++i)
        partitions.push_back({stream->id, i});
  keep_each_once(partitions);
  std::vector<Position> all;
  all.reserve(partitions.size());
  for (const Partition partition : partitions)
    all.push_back({partition, start_in(partition, filters, next)});
  return all;
}

// It gets nothing before resume().
void Distributor::hold(Handle handle) {
  Subscriber& subscriber = *subscriptions_.find(handle);
  Lag& lag = subscriptions_.lag_of(subscriber);
  lag.blocked = lag.held = true;
}

// Returns what they cover, in order.
std::vector<Partition> Distributor::restore_filters(Handle handle,
                                                    const std::vector<StoredFilter>& filters) {
  std::vector<Partition> partitions;
  for (const StoredFilter& filter : filters) {
    SLUICE_ASSERT(!subscriptions_.find(handle)->find(filter.text));
    const Filter& set = subscriptions_.set_filter(handle, filter.text, filter.options);
    for (const auto* stream : covered_by(set))
      for (std::uint32_t i = 0; i < stream->config.partitions; ++i)
        partitions.push_back(cover({stream->id, i}, *stream, 1).partition);
  }
  filters_.set(static_cast<std::int64_t>(subscriptions_.filter_count()));
  keep_each_once(partitions);
  return partitions;
}

void Distributor::restore_place(Handle handle, const std::vector<StoredFilter>& filters,
                                Source& source, Offset start) {
  Subscriber& subscriber = *subscriptions_.find(handle);
  subscriber.lag->add(source.partition, start);
  source.lagging.push_back(handle);
  for (const StoredFilter& filter : filters)
    if (const auto since = find_in(filter.since, source.partition); since && *since > start)
      subscriber.find(filter.text)->since.push_back({source.partition, *since});
}

// In partitions that were made since it went, all that is there.
void Distributor::restore_rest(Handle handle, const sessions::RetainedRest& rest) {
  const Filter* filter = subscriptions_.find(handle)->find(rest.filter);
  if (!filter) return;
  std::vector<Partition> made_since;
  for (const auto* stream : covered_by(*filter))
    for (std::uint32_t i = 0; i < stream->config.partitions; ++i)
      if (std::ranges::find(rest.before, Partition{stream->id, i}, &Position::partition) ==
          rest.before.end())
        made_since.push_back({stream->id, i});
  snapshots_.restore(handle, rest, made_since);
}

void Distributor::wait_for_tail(Partition partition,
                                const std::shared_ptr<Subscribing>& subscribing) {
  Source* source = find(partition);
  if (!source) return;
  if (source->tailing) return begin(*source, {subscribing, false});
  ++subscribing->tails;
  source->waiting.push_back({subscribing, false});
  start_tail(*source, false);
}

// Its place, or that of a filter, may lie beyond the end of the log; or only beyond what has come
// to this shard.
bool Distributor::is_beyond(const Source& source, Handle handle) {
  const Subscriber* subscriber = subscriptions_.find(handle);
  const Lag::At* at =
      subscriber && subscriber->lag ? subscriber->lag->find(source.partition) : nullptr;
  if (!at) return false;
  return at->next > source.next ||
         std::ranges::any_of(subscriber->filters, [&](const Filter& filter) {
           return std::ranges::any_of(filter.since, [&](const Filter::Since& since) {
             return since.partition == source.partition && since.offset > source.next;
           });
         });
}

void Distributor::check_end(SourceId id, const std::shared_ptr<Subscribing>& subscribing) {
  ++subscribing->tails;
  stream_.bounds(id.partition, [this, id, subscribing](const Result<stream::Bounds>& bounds) {
    if (!bounds && bounds.error().code == Errc::busy) {
      loop_.run_after(retry_delay, [this, id, subscribing] {
        check_end(id, subscribing);
        finish_tail(*subscribing);
      });
      return;
    }
    Source* source = find_same(id);
    if (source && bounds) draw_back(*source, subscribing->handle, bounds->visible_end);
    finish_tail(*subscribing);
  });
}

const Grant* Distributor::grant_again(Handle handle, Position position, std::string_view topic) {
  const Source* source = find(position.partition);
  if (!source) return nullptr;
  subscriptions_.forget();
  const auto& targets =
      subscriptions_
          .match_since(handle.index, source->scope(), topic, position.partition, position.offset)
          .targets;
  return targets.empty() ? nullptr : &targets.front().grant;
}

// The log has lost its end, or it is another one: what comes from now on counts.
void Distributor::draw_back(Source& source, Handle handle, Offset end) {
  Subscriber* subscriber = subscriptions_.find(handle);
  Lag::At* at = subscriber && subscriber->lag ? subscriber->lag->find(source.partition) : nullptr;
  if (!at) return;
  for (Filter& filter : subscriber->filters)
    for (Filter::Since& since : filter.since)
      if (since.partition == source.partition) since.offset = std::min(since.offset, end);
  if (at->next <= end) return;
  if (log_limit_.allow(loop_.wall_ms()))
    logger.warn("a subscriber had come further than the log goes, and goes on at its end",
                {{"stream", source.stream},
                 {"partition", source.partition.index},
                 {"offsets", at->next - end}});
  at->next = end;
  call(source, handle);
}

}  // namespace sluice::hub
