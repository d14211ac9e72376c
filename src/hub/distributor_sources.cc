// Which partitions are followed, and their tails.
#include <algorithm>
#include <utility>

#include "hub/distributor.h"

namespace sluice::hub {

namespace {

constexpr std::size_t read_size = 256 << 10;  // of the log, per step of catching up
constexpr runtime::Duration retry_delay = std::chrono::seconds(1);

}  // namespace

Distributor::Source* Distributor::find(Partition partition) {
  const auto found = sources_.find(partition);
  return found == sources_.end() ? nullptr : &found->second;
}

Distributor::Source* Distributor::find_same(SourceId id) {
  Source* source = find(id.partition);
  return source && source->life == id.life ? source : nullptr;
}

Distributor::Source& Distributor::cover(Partition partition, const stream::StreamInfo& stream,
                                        std::uint64_t filters) {
  const auto [place, added] = sources_.try_emplace(partition);
  Source& source = place->second;
  if (added) {
    source.partition = partition;
    source.life = ++lives_;
    source.stream = stream.name;
    source.prefix = router_.prefix_of(stream);
    source.wildcards = router_.covers("#", stream);
  }
  source.filters += filters;
  return source;
}

void Distributor::uncover(const stream::StreamInfo& stream) {
  for (std::uint32_t i = 0; i < stream.config.partitions; ++i) {
    Source* source = find({stream.id, i});
    if (!source || --source->filters > 0) continue;
    // Whoever lags here has no filter left that could match.
    for (const Handle handle : std::exchange(source->lagging, {})) end_lag(*source, handle);
    stream_.untail(source->partition);
    sources_.erase(source->partition);
  }
}

// How many filters cover a stream.
std::uint64_t Distributor::count_filters(const stream::StreamInfo& stream) {
  std::uint64_t filters = 0;
  subscriptions_.for_each([&](std::uint32_t, const Subscriber& subscriber) {
    filters += static_cast<std::uint64_t>(std::ranges::count_if(
        subscriber.filters, [&](const Filter& filter) { return covers(filter, stream); }));
  });
  return filters;
}

void Distributor::drop_source(Source& source) {
  for (const Handle handle : std::exchange(source.lagging, {})) end_lag(source, handle);
  const auto waiting = std::move(source.waiting);
  sources_.erase(source.partition);
  for (const auto& [subscribing, has_place] : waiting) finish_tail(*subscribing);
}

void Distributor::on_stream_added(const stream::StreamInfo& stream) {
  const std::uint64_t filters = count_filters(stream);
  if (filters == 0) return;
  snapshots_.extend(stream);
  for (std::uint32_t i = 0; i < stream.config.partitions; ++i) {
    start_tail(cover({stream.id, i}, stream, filters), true);
  }
}

// Of new partitions nobody has missed anything. Where other filters cover the stream from now on,
// they get what comes from now on.
void Distributor::on_stream_changed(const stream::StreamInfo& before,
                                    const stream::StreamInfo& now) {
  const std::uint64_t filters = count_filters(now);
  if (now.config.partitions > before.config.partitions) snapshots_.extend(now);
  if (before.config.wildcard != now.config.wildcard) subscriptions_.clear_cache();
  for (std::uint32_t i = 0; i < now.config.partitions; ++i) {
    Source* source = find({now.id, i});
    if (source && filters == 0) {
      stream_.untail(source->partition);
      drop_source(*source);
    } else if (source) {
      source->filters = filters;
      source->wildcards = router_.covers("#", now);
    } else if (filters > 0) {
      start_tail(cover({now.id, i}, now, filters), i >= before.config.partitions);
    }
  }
}

void Distributor::on_stream_removed(const stream::StreamInfo& stream) {
  for (std::uint32_t i = 0; i < stream.config.partitions; ++i)
    if (Source* source = find({stream.id, i})) drop_source(*source);
}

// --- the tail

// The source may be gone afterwards.
void Distributor::start_tail(Source& source, bool from_start) {
  if (std::exchange(source.asked, true)) return;
  stream_.tail(source.partition, *this, [this, id = source.id(), from_start](Result<Offset> next) {
    on_tail(id, std::move(next), from_start);
  });
}

void Distributor::on_tail(SourceId id, Result<Offset> next, bool from_start) {
  Source* source = find_same(id);
  if (!source) return;
  if (!next && next.error().code == Errc::busy) {  // whoever waits for it goes on waiting
    loop_.run_after(retry_delay, [this, id, from_start] { ask_again(id, from_start); });
    return;
  }
  source->asked = false;
  if (next && !source->tailing) {
    source->tailing = true;
    source->next = *next;
    if (from_start) start_lags_from_start(*source);
    kick_sweep(*source);
  } else if (next && source->behind) {
    catch_up(id);
  }
  for (const Waiting& waiting : std::exchange(source->waiting, {})) {
    if (source = find_same(id); source && source->tailing) begin(*source, waiting);
    finish_tail(*waiting.subscribing);
  }
}

void Distributor::ask_again(SourceId id, bool from_start) {
  Source* source = find_same(id);
  if (!source) return;
  source->asked = false;
  start_tail(*source, from_start);
}

// Nobody has missed anything of a partition that has just been made: those who cover it read it
// from its start.
void Distributor::start_lags_from_start(Source& source) {
  const auto* stream = stream_.catalogue().find(source.partition.stream);
  if (!stream) return;
  subscriptions_.for_each([&](std::uint32_t index, const Subscriber& subscriber) {
    const bool is_covered = std::ranges::any_of(
        subscriber.filters, [&](const Filter& filter) { return covers(filter, *stream); });
    const bool has_snapshots = subscriber.lag && !subscriber.lag->snapshots.empty();
    const bool has_place = subscriber.lag && subscriber.lag->find(source.partition);
    if (is_covered && !has_place && (source.next > Offset{0} || has_snapshots))
      start_lag(source, subscriptions_.handle(index), Offset{0}, false);
  });
}

void Distributor::on_block(Partition partition, const stream::BlockRef& block) {
  Source* source = find(partition);
  if (!source || !source->tailing || source->behind) return;
  hand_out(*source, block, nullptr);
}

void Distributor::on_behind(Partition partition, Offset) {
  Source* source = find(partition);
  if (!source) return;
  source->untailed = true;
  if (std::exchange(source->behind, true)) return;
  catch_up(source->id());
}

void Distributor::catch_up(SourceId id) {
  Source* source = find_same(id);
  if (!source) return;
  stream_.read(id.partition, source->next, read_size, stream::Want::records,
               [this, id](Result<stream::ReadAnswer> answer) { on_caught_up(id, answer); });
}

void Distributor::on_caught_up(SourceId id, const Result<stream::ReadAnswer>& answer) {
  Source* source = find_same(id);
  if (!source) return;
  if (!answer) {
    const auto again = [this, id] { catch_up(id); };
    if (answer.error().code == Errc::out_of_range) return skip_lost(id, again);
    loop_.run_after(retry_delay, again);
    return;
  }
  for (const auto& block : answer->blocks) {
    hand_out(*source, block, nullptr);
    if (source = find_same(id); !source) return;
  }
  const bool at_end = answer->blocks.empty() && answer->next <= source->next;
  reach(*source, answer->next);
  if (!at_end) return loop_.post([this, id] { catch_up(id); });
  if (std::exchange(source->untailed, false)) return start_tail(*source, false);
  source->behind = false;
  kick_sweep(*source);
}

}  // namespace sluice::hub
