#include "hub/distributor.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "log/record_batch.h"
#include "topic/topic.h"

namespace sluice::hub {

namespace {

constexpr Logger logger("hub");
constexpr std::size_t read_size = 256 << 10;  // of the log, per step of a sweep
constexpr runtime::Duration retry_delay = std::chrono::seconds(1);

std::uint64_t publisher_of(const log::Block& block, const log::Record& record) {
  std::uint64_t publisher = 0;
  log::for_each_header(block, record, [&](const log::RecordHeader& header) {
    if (header.name != log::PackedHeader::name) return;
    if (const auto packed = log::decode_packed_header(header.value)) publisher = packed->publisher;
  });
  return publisher;
}

Offset offset_of(const log::Block& block, const log::Record& record) {
  return block.from() + record.offset_delta;
}

}  // namespace

Distributor::Distributor(runtime::Loop& loop, stream::Stream& stream, Router& router,
                         Metrics& metrics)
    : loop_(loop),
      stream_(stream),
      router_(router),
      undeliverable_(metrics.counter("sluice_messages_dropped_total",
                                     "Messages not delivered to a subscriber, by reason",
                                     "reason=\"no_topic\"")),
      lost_(metrics.counter("sluice_messages_dropped_total",
                            "Messages not delivered to a subscriber, by reason",
                            "reason=\"retention\"")),
      lags_(metrics.counter("sluice_subscriber_lags_total",
                            "Times that a subscriber fell behind and was served from the log")),
      filters_(metrics.gauge("sluice_subscriptions", "Filters that clients have subscribed to")) {
  stream_.watch_catalogue(*this);
}

Handle Distributor::add(SubscriberSink& sink, std::uint64_t session) {
  return subscriptions_.add({.sink = &sink, .session = session, .filters = {}, .lag = nullptr});
}

void Distributor::remove(Handle handle) {
  Subscriber* subscriber = subscriptions_.find(handle);
  if (!subscriber) return;
  if (subscriber->lag)
    for (const Lag::At& at : subscriber->lag->at)
      if (Source* source = find(at.partition)) std::erase(source->lagging, handle);
  std::vector<std::string> filters;
  for (const Filter& filter : subscriber->filters)
    if (!filter.text.empty()) filters.push_back(filter.text);
  for (const std::string& filter : filters) unsubscribe(handle, filter);
  subscriptions_.erase(handle);
}

void Distributor::subscribe(Handle handle, const std::string& text, const SubscribeOptions& options,
                            Done<void> done) {
  Subscriber* subscriber = subscriptions_.find(handle);
  SLUICE_ASSERT(subscriber);
  const bool is_new = !subscriber->find(text);
  Filter& filter = subscriptions_.set_filter(handle, text, options);
  auto subscribing = std::make_shared<Subscribing>(Subscribing{1, std::move(done)});
  for (const auto& [name, stream] : stream_.catalogue().all()) {
    if (!router_.covers(text, stream)) continue;
    for (std::uint32_t i = 0; i < stream.config.partitions; ++i) {
      Source& source = cover({stream.id, i}, stream, is_new ? 1 : 0);
      if (is_new && subscriber->lag && subscriber->lag->find(source.partition))
        filter.since.push_back({source.partition, source.next});
      if (source.tailing) continue;
      ++subscribing->tails;
      source.waiting.push_back(subscribing);
      if (source.waiting.size() == 1) start_tail(source.partition, false);
    }
  }
  filters_.set(static_cast<std::int64_t>(subscriptions_.filter_count()));
  if (--subscribing->tails == 0) subscribing->done({});
}

bool Distributor::unsubscribe(Handle handle, std::string_view text) {
  if (!subscriptions_.erase_filter(handle, text)) return false;
  for (const auto& [name, stream] : stream_.catalogue().all())
    if (router_.covers(text, stream)) uncover(stream);
  filters_.set(static_cast<std::int64_t>(subscriptions_.filter_count()));
  return true;
}

bool Distributor::has_filter(Handle handle, std::string_view text) {
  Subscriber* subscriber = subscriptions_.find(handle);
  return subscriber && subscriber->find(text);
}

void Distributor::resume(Handle handle) {
  Subscriber* subscriber = subscriptions_.find(handle);
  if (!subscriber || !subscriber->lag || !subscriber->lag->blocked) return;
  subscriber->lag->blocked = false;
  for (const Lag::At& at : subscriber->lag->at)
    if (Source* source = find(at.partition)) kick_sweep(*source);
}

// --- which partitions are followed

Distributor::Source* Distributor::find(Partition partition) {
  const auto found = sources_.find(partition);
  return found == sources_.end() ? nullptr : &found->second;
}

Distributor::Source& Distributor::cover(Partition partition, const stream::StreamInfo& stream,
                                        std::uint64_t filters) {
  const auto [place, added] = sources_.try_emplace(partition);
  Source& source = place->second;
  if (added) {
    source.partition = partition;
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
    for (const Handle handle : std::vector(source->lagging)) join_tail(*source, handle);
    stream_.untail(source->partition);
    sources_.erase(source->partition);
  }
}

// How many filters cover a stream.
std::uint64_t Distributor::count_filters(const stream::StreamInfo& stream) {
  std::uint64_t filters = 0;
  subscriptions_.for_each([&](std::uint32_t, const Subscriber& subscriber) {
    filters += static_cast<std::uint64_t>(
        std::ranges::count_if(subscriber.filters, [&](const Filter& filter) {
          return !filter.text.empty() && router_.covers(filter.text, stream);
        }));
  });
  return filters;
}

void Distributor::drop_source(Source& source) {
  for (const Handle handle : std::vector(source.lagging)) join_tail(source, handle);
  const auto waiting = std::move(source.waiting);
  sources_.erase(source.partition);
  for (const auto& subscribing : waiting)
    if (--subscribing->tails == 0) subscribing->done({});
}

void Distributor::on_stream_added(const stream::StreamInfo& stream) {
  const std::uint64_t filters = count_filters(stream);
  if (filters == 0) return;
  for (std::uint32_t i = 0; i < stream.config.partitions; ++i) {
    cover({stream.id, i}, stream, filters);
    start_tail({stream.id, i}, true);
  }
}

// Of new partitions nobody has missed anything. Where other filters cover the stream from now on,
// they get what comes from now on.
void Distributor::on_stream_changed(const stream::StreamInfo& before,
                                    const stream::StreamInfo& now) {
  const std::uint64_t filters = count_filters(now);
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
      cover({now.id, i}, now, filters);
      start_tail({now.id, i}, i >= before.config.partitions);
    }
  }
}

void Distributor::on_stream_removed(const stream::StreamInfo& stream) {
  for (std::uint32_t i = 0; i < stream.config.partitions; ++i)
    if (Source* source = find({stream.id, i})) drop_source(*source);
}

// --- the tail

void Distributor::start_tail(Partition partition, bool from_start) {
  stream_.tail(partition, *this, [this, partition, from_start](Result<Offset> next) {
    on_tail(partition, std::move(next), from_start);
  });
}

void Distributor::on_tail(Partition partition, Result<Offset> next, bool from_start) {
  Source* source = find(partition);
  if (!source) return;
  if (next && !source->tailing) {
    source->tailing = true;
    source->next = *next;
    // Nobody has missed anything of a stream that has just been made: those who cover it read it
    // from its start.
    if (from_start && *next > Offset{0})
      subscriptions_.for_each([&](std::uint32_t index, const Subscriber& subscriber) {
        const auto* stream = stream_.catalogue().find(partition.stream);
        const bool covers =
            stream && std::ranges::any_of(subscriber.filters, [&](const Filter& filter) {
              return !filter.text.empty() && router_.covers(filter.text, *stream);
            });
        if (covers) start_lag(*source, subscriptions_.handle(index), Offset{0}, false);
      });
  } else if (next && source->behind) {
    catch_up(partition);
  }
  for (const auto& subscribing : std::exchange(source->waiting, {}))
    if (--subscribing->tails == 0) subscribing->done({});
}

void Distributor::on_block(Partition partition, const stream::BlockRef& block) {
  Source* source = find(partition);
  if (!source || !source->tailing || source->behind) return;
  hand_out(*source, block, Readers::at_tail);
}

void Distributor::on_behind(Partition partition, Offset) {
  Source* source = find(partition);
  if (!source) return;
  source->untailed = true;
  if (std::exchange(source->behind, true)) return;
  catch_up(partition);
}

void Distributor::catch_up(Partition partition) {
  Source* source = find(partition);
  if (!source) return;
  stream_.read(
      partition, source->next, read_size, stream::Want::records,
      [this, partition](Result<stream::ReadAnswer> answer) { on_caught_up(partition, answer); });
}

void Distributor::on_caught_up(Partition partition, const Result<stream::ReadAnswer>& answer) {
  Source* source = find(partition);
  if (!source) return;
  if (!answer) {
    if (answer.error().code == Errc::out_of_range) skip_lost(partition);
    loop_.run_after(retry_delay, [this, partition] { catch_up(partition); });
    return;
  }
  for (const auto& block : answer->blocks) {
    hand_out(*source, block, Readers::at_tail);
    if (source = find(partition); !source) return;
  }
  const bool at_end = answer->blocks.empty() && answer->next <= source->next;
  source->next = std::max(source->next, answer->next);
  if (!at_end) return loop_.post([this, partition] { catch_up(partition); });
  if (std::exchange(source->untailed, false)) return start_tail(partition, false);
  source->behind = false;
  kick_sweep(*source);
}

// --- one block to its subscribers

void Distributor::hand_out(Source& source, const stream::BlockRef& block, Readers readers) {
  const Partition partition = source.partition;
  collect(source, *block, readers);
  deliver(source, block);
  subscriptions_.forget();
  if (readers == Readers::at_tail)
    if (Source* still = find(partition)) still->next = std::max(still->next, block->until());
}

void Distributor::collect(Source& source, const log::Block& block, Readers readers) {
  const auto records = block.records();
  const Subscriptions::Scope scope{source.prefix, source.partition.stream.value, source.wildcards};
  for (std::uint32_t i = 0; i < records.size(); ++i) {
    const log::Record& record = records[i];
    if (record.key_at == log::Record::none) {
      note_undeliverable(source);
      continue;
    }
    const Matched& matched = subscriptions_.match(scope, block.key(record), record.key_hash);
    if (!matched.deliverable) note_undeliverable(source);
    for (const Target& target : matched.targets)
      if (const Target* wanted = narrow(source, block, record, target, readers))
        offer(target.subscriber, i, wanted->grant);
  }
}

// What a subscriber that matches really gets of a record: nothing, or a grant without the filters
// that are too new.
const Target* Distributor::narrow(const Source& source, const log::Block& block,
                                  const log::Record& record, const Target& target,
                                  Readers readers) {
  Subscriber& subscriber = subscriptions_.at(target.subscriber);
  const Target* wanted = &target;
  const Offset offset = offset_of(block, record);
  const Lag::At* lag = subscriber.lag ? subscriber.lag->find(source.partition) : nullptr;
  if (readers == Readers::at_tail) {
    if (lag || offset < source.next) return nullptr;
  } else {
    if (!lag || subscriber.lag->blocked || offset < lag->next || lag->next < source.swept)
      return nullptr;
    const bool has_new_filters = std::ranges::any_of(
        subscriber.filters, [](const Filter& filter) { return !filter.since.empty(); });
    if (has_new_filters) {
      const std::string topic = source.prefix + std::string(as_text(block.key(record)));
      const Matched& narrowed =
          subscriptions_.match_since(target.subscriber, topic, source.partition, offset);
      if (narrowed.targets.empty()) return nullptr;
      wanted = &narrowed.targets.front();
    }
  }
  if (wanted->no_local && publisher_of(block, record) == subscriber.session) return nullptr;
  return wanted;
}

void Distributor::offer(std::uint32_t subscriber, std::uint32_t record, const Grant& grant) {
  if (subscriber >= offered_at_.size()) offered_at_.resize(subscriber + 1);
  std::uint32_t& place = offered_at_[subscriber];
  if (place == 0) {
    if (offered_count_ == offered_.size()) offered_.emplace_back();
    offered_[offered_count_].handle = subscriptions_.handle(subscriber);
    place = static_cast<std::uint32_t>(++offered_count_);
  }
  offered_[place - 1].deliveries.push_back({record, &grant});
}

void Distributor::deliver(Source& source, const stream::BlockRef& block) {
  const Partition partition = source.partition;
  const std::string prefix =
      source.prefix;  // a sink may close its connection, and with it the source
  for (std::size_t i = 0; i < offered_count_; ++i) {
    auto& [handle, deliveries] = offered_[i];
    offered_at_[handle.index] = 0;
    if (Subscriber* subscriber = subscriptions_.find(handle)) {
      const std::size_t taken =
          subscriber->sink->on_records(prefix, block, deliveries, Origin::log);
      Source* still = find(partition);
      if (taken < deliveries.size() && still)
        start_lag(*still, handle, offset_of(*block, block->records()[deliveries[taken].record]),
                  true);
    }
    deliveries.clear();
  }
  offered_count_ = 0;
}

void Distributor::note_undeliverable(Source& source) {
  undeliverable_.add();
  if (std::exchange(source.warned, true)) return;
  logger.warn("records without a usable topic are not delivered to MQTT",
              {{"stream", source.stream},
               {"partition", source.partition.index},
               {"reason", "the key is missing, not UTF-8, or holds '+', '#' or NUL"}});
}

// --- those who lag

void Distributor::start_lag(Source& source, Handle handle, Offset next, bool blocked) {
  Subscriber* subscriber = subscriptions_.find(handle);
  if (!subscriber) return;
  if (!subscriber->lag) {
    subscriber->lag = std::make_unique<Lag>();
    subscriber->lag->blocked = blocked;
    lags_.add();
  }
  subscriber->lag->blocked = subscriber->lag->blocked || blocked;
  if (Lag::At* at = subscriber->lag->find(source.partition)) {
    at->next = next;
  } else {
    subscriber->lag->at.push_back({source.partition, next});
    source.lagging.push_back(handle);
  }
  kick_sweep(source);
}

void Distributor::join_tail(Source& source, Handle handle) {
  std::erase(source.lagging, handle);
  Subscriber* subscriber = subscriptions_.find(handle);
  if (!subscriber || !subscriber->lag) return;
  std::erase_if(subscriber->lag->at,
                [&](const Lag::At& at) { return at.partition == source.partition; });
  for (Filter& filter : subscriber->filters)
    std::erase_if(filter.since,
                  [&](const Filter::Since& since) { return since.partition == source.partition; });
  if (subscriber->lag->at.empty()) subscriber->lag.reset();
}

void Distributor::kick_sweep(Source& source) {
  if (source.sweeping || !source.tailing) return;
  const bool anybody = std::ranges::any_of(source.lagging, [&](Handle handle) {
    const Subscriber* subscriber = subscriptions_.find(handle);
    return subscriber && !subscriber->lag->blocked;
  });
  if (!anybody) return;
  source.sweeping = true;
  loop_.post([this, partition = source.partition] { sweep(partition); });
}

void Distributor::sweep(Partition partition) {
  Source* source = find(partition);
  if (!source) return;
  Offset from = source->next;
  bool anybody = false;
  for (const Handle handle : std::vector(source->lagging)) {
    Subscriber* subscriber = subscriptions_.find(handle);
    SLUICE_ASSERT(subscriber && subscriber->lag);
    if (subscriber->lag->blocked) continue;
    const Offset next = subscriber->lag->find(partition)->next;
    if (next >= source->next) {
      join_tail(*source, handle);
    } else {
      from = std::min(from, next);
      anybody = true;
    }
  }
  source->sweeping = anybody;
  if (!anybody) return;
  source->swept = from;
  stream_.read(
      partition, from, read_size, stream::Want::records,
      [this, partition](Result<stream::ReadAnswer> answer) { on_swept(partition, answer); });
}

void Distributor::on_swept(Partition partition, const Result<stream::ReadAnswer>& answer) {
  Source* source = find(partition);
  if (!source) return;
  if (!answer) {
    if (answer.error().code == Errc::out_of_range) skip_lost(partition);
    loop_.run_after(retry_delay, [this, partition] { sweep(partition); });
    return;
  }
  for (const auto& block : answer->blocks) {
    if (block->from() >= source->next)
      break;  // not handed out at the tail yet: it comes from there
    hand_out(*source, block, Readers::lagging);
    if (source = find(partition); !source) return;
    advance(*source, block->until());
  }
  // Beyond what was read there are holes only, up to answer->next.
  const bool nothing = answer->blocks.empty() && answer->next <= source->swept;
  advance(*source, nothing ? source->next : std::min(answer->next, source->next));
  loop_.post([this, partition] { sweep(partition); });
}

// Everybody who took part in the sweep has what lies below `reached`.
void Distributor::advance(Source& source, Offset reached) {
  for (const Handle handle : source.lagging) {
    Subscriber* subscriber = subscriptions_.find(handle);
    if (!subscriber || subscriber->lag->blocked) continue;
    Lag::At* at = subscriber->lag->find(source.partition);
    if (at->next >= source.swept) at->next = std::max(at->next, reached);
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
      if (Subscriber* subscriber = subscriptions_.find(handle))
        skip(subscriber->lag->find(partition)->next);
  });
}

}  // namespace sluice::hub
