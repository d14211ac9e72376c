#include "hub/distributor.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "log/record_batch.h"
#include "topic/topic.h"

namespace sluice::hub {

namespace {

constexpr Logger logger("hub");
constexpr std::string_view skipped_help =
    "Offsets that a subscriber was moved on past without being offered what is there, by reason";

bool have_equal_keys(const log::Block& block, const log::Record& a, const log::Record& b) {
  return a.key_hash == b.key_hash &&
         (a.key_at == log::Record::none) == (b.key_at == log::Record::none) &&
         std::ranges::equal(block.key(a), block.key(b));
}

Offset offset_of(const log::Block& block, const log::Record& record) {
  return block.from() + record.offset_delta;
}

}  // namespace

Distributor::Distributor(runtime::Loop& loop, stream::Stream& stream, Router& router,
                         latest::Latest& latest, Metrics& metrics, trace::Tracer& tracer)
    : loop_(loop),
      stream_(stream),
      router_(router),
      latest_(latest),
      tracer_(tracer),
      snapshots_(
          loop, stream, router, subscriptions_, latest,
          [this](Handle handle) { kick_sweeps(handle); },
          [this](Handle handle) { note_places(*subscriptions_.find(handle)); }),
      announcements_(subscriptions_),
      undeliverable_(metrics.counter("sluice_messages_dropped_total",
                                     "Messages not delivered to a subscriber, by reason",
                                     "reason=\"no_topic\"")),
      skipped_retention_(metrics.counter("sluice_subscriber_records_skipped_total", skipped_help,
                                         "reason=\"retention\"")),
      skipped_lag_limit_(metrics.counter("sluice_subscriber_records_skipped_total", skipped_help,
                                         "reason=\"lag_limit\"")),
      lags_(metrics.counter("sluice_subscriber_lags_total",
                            "Times that a subscriber fell behind and was served from the log")),
      filters_(metrics.gauge("sluice_subscriptions",
                             "Filters that are followed; the members of a shared "
                             "subscription follow one together")) {
  stream_.watch_catalogue(*this);
}

Handle Distributor::add(SubscriberSink& sink, std::uint64_t session) {
  return subscriptions_.add({.sink = &sink, .session = session, .filters = {}, .lag = nullptr});
}

Handle Distributor::add_beside(Handle handle) {
  const Subscriber& subscriber = *subscriptions_.find(handle);
  const Handle beside = add(*subscriber.sink, subscriber.session);
  if (is_held(handle)) hold(beside);
  return beside;
}

void Distributor::remove(Handle handle) {
  Subscriber* subscriber = subscriptions_.find(handle);
  if (!subscriber) return;
  if (subscriber->lag)
    for (const Lag::At& at : subscriber->lag->at)
      if (Source* source = find(at.partition)) note_gone(*source);
  subscriber->lag.reset();
  std::vector<std::string> filters;
  for (const Filter& filter : subscriber->filters)
    if (!filter.text.empty()) filters.push_back(filter.text);
  for (const std::string& filter : filters) unsubscribe(handle, filter);
  subscriptions_.erase(handle);
}

void Distributor::subscribe(Handle handle, const std::string& text, const SubscribeOptions& options,
                            Done<void> done, const std::vector<Offset>& starts) {
  Subscriber* subscriber = subscriptions_.find(handle);
  SLUICE_ASSERT(subscriber);
  const bool is_new = !subscriber->find(text);
  if (is_new && options.partitions_max > 0 &&
      count_covered(*subscriber, text) > options.partitions_max)
    return done(fail(Errc::too_large, "with the filter '{}' more than {} partitions are covered",
                     text, options.partitions_max));
  const Filter& filter = subscriptions_.set_filter(handle, text, options);
  const bool begins_at_tails = is_new && starts.empty();
  auto subscribing =
      std::make_shared<Subscribing>(Subscribing{.tails = 1,
                                                .handle = handle,
                                                .new_filter = begins_at_tails ? text : "",
                                                .done = std::move(done)});
  if (options.send_retained) subscribing->snapshot = snapshots_.add(handle, text);
  const auto only = partition_of(text);
  for (const auto* stream : covered_by(filter)) {
    const bool wants_retained = options.send_retained && latest_.may_have(*stream);
    for (std::uint32_t i = 0; i < stream->config.partitions; ++i) {
      Source& source = cover({stream->id, i}, *stream, is_new ? 1 : 0);
      if (i < starts.size()) start_lag(source, handle, starts[i], false);
      const bool has_place = wants_retained && (!only || *only == source.partition);
      if (source.tailing) {
        begin(source, {subscribing, has_place});
        continue;
      }
      ++subscribing->tails;
      source.waiting.push_back({subscribing, has_place});
      start_tail(source, false);
    }
  }
  filters_.set(static_cast<std::int64_t>(subscriptions_.filter_count()));
  finish_tail(*subscribing);
  if (options.send_retained) announcements_.send_current(handle, text);
}

bool Distributor::covers(const Filter& filter, const stream::StreamInfo& stream) const {
  if (filter.text.empty() || !router_.covers(filter.text, stream)) return false;
  return filter.options.streams == Streams::all ||
         (filter.options.streams == Streams::plain) == router_.is_default(stream.name);
}

std::vector<const stream::StreamInfo*> Distributor::covered_by(const Filter& filter) const {
  auto streams = router_.covered_by(filter.text);
  std::erase_if(streams, [&](const auto* stream) { return !covers(filter, *stream); });
  return streams;
}

// The tail of a partition is known that a subscribe() or restore() waits for.
void Distributor::begin(Source& source, const Waiting& waiting) {
  const auto& [subscribing, has_place] = waiting;
  if (!subscribing->new_filter.empty())
    set_since(source, subscribing->handle, subscribing->new_filter);
  if (has_place) add_place(source, *subscribing);
  if (subscribing->restores && is_beyond(source, subscribing->handle))
    check_end(source.id(), subscribing);
}

// What is still to be read of the partition is older than the filter.
void Distributor::set_since(Source& source, Handle handle, std::string_view text) {
  Subscriber* subscriber = subscriptions_.find(handle);
  Filter* filter = subscriber ? subscriber->find(text) : nullptr;
  if (filter && subscriber->lag && subscriber->lag->find(source.partition))
    filter->since.push_back({source.partition, source.next});
}

// The one partition that has the messages a filter covers, if it names a topic.
std::optional<Partition> Distributor::partition_of(const std::string& filter) {
  if (filter.find_first_of("+#") != std::string::npos) return std::nullopt;
  const auto partition = router_.partition_of(filter);
  return partition ? std::optional(*partition) : std::nullopt;
}

// Takes the snapshot of a partition where its tail is now; the subscriber waits there.
void Distributor::add_place(Source& source, const Subscribing& subscribing) {
  if (const Subscriber* subscriber = subscriptions_.find(subscribing.handle)) {
    const bool lags = subscriber->lag && subscriber->lag->find(source.partition);
    if (!lags) start_lag(source, subscribing.handle, source.next, false);
  }
  snapshots_.add_place(subscribing.handle, subscribing.snapshot, source.partition, source.next);
  for (Sweep& sweep : source.sweeps) sweep.first_stop = std::min(sweep.first_stop, source.next);
}

void Distributor::finish_tail(Subscribing& subscribing) {
  if (--subscribing.tails > 0) return;
  subscribing.done({});
  if (subscribing.snapshot != 0) snapshots_.start(subscribing.handle, subscribing.snapshot);
}

bool Distributor::unsubscribe(Handle handle, std::string_view text) {
  Subscriber* subscriber = subscriptions_.find(handle);
  const Filter* found = subscriber ? subscriber->find(text) : nullptr;
  if (!found) return false;
  const Filter filter{.text = found->text, .options = found->options, .since = {}};
  subscriptions_.erase_filter(handle, text);
  snapshots_.remove(handle, text);
  for (const auto* stream : covered_by(filter)) uncover(*stream);
  filters_.set(static_cast<std::int64_t>(subscriptions_.filter_count()));
  return true;
}

bool Distributor::has_filter(Handle handle, std::string_view text) {
  Subscriber* subscriber = subscriptions_.find(handle);
  return subscriber && subscriber->find(text);
}

bool Distributor::is_held(Handle handle) {
  const Subscriber* subscriber = subscriptions_.find(handle);
  return subscriber && subscriber->is_held();
}

SubscriberSink* Distributor::sink_of(Handle handle) {
  const Subscriber* subscriber = subscriptions_.find(handle);
  return subscriber ? subscriber->sink : nullptr;
}

void Distributor::resume(Handle handle) {
  Subscriber* subscriber = subscriptions_.find(handle);
  if (!subscriber || !subscriber->lag || !subscriber->lag->blocked) return;
  Lag& lag = *subscriber->lag;
  lag.blocked = lag.held = false;
  for (Lag::At& at : lag.at)
    if (const Source* source = find(at.partition);
        source && at.sweep != 0 && at.next < source->sweeps[at.sweep - 1u].swept)
      at.sweep = 0;  // which has passed it by
  if (lag.is_over()) return subscriber->lag.reset();
  if (!lag.snapshots.empty()) snapshots_.wake(handle);
  kick_sweeps(handle);
}

// --- one block to its subscribers

// To those at the tail, or aboard a sweep.
void Distributor::hand_out(Source& source, const stream::BlockRef& block, Sweep* sweep) {
  const Partition partition = source.partition;
  collect(source, *block, sweep);
  if (tracer_.active()) trace_block(source, *block, sweep);
  if (sweep && offered_count_ > 0) sweep->idle = false;
  deliver(source, block, sweep && sweep->in_portions);
  subscriptions_.forget();
  if (!sweep)
    if (Source* still = find(partition)) reach(*still, block->until());
}

void Distributor::collect(Source& source, const log::Block& block, const Sweep* sweep) {
  const auto records = block.records();
  std::uint32_t first = 0;
  for (std::uint32_t i = 1; i <= records.size(); ++i) {
    if (i < records.size() && have_equal_keys(block, records[first], records[i])) continue;
    collect_alike(source, block, first, i - first, sweep);
    first = i;
  }
}

const Matched& Distributor::match(const Source& source, const log::Block& block,
                                  const log::Record& record) {
  return subscriptions_.match(source.scope(), block.key(record), record.key_hash);
}

// Records of one topic that follow each other.
void Distributor::collect_alike(Source& source, const log::Block& block, std::uint32_t first,
                                std::uint32_t count, const Sweep* sweep) {
  const log::Record& record = block.records()[first];
  if (record.key_at == log::Record::none) return note_undeliverable(source, count);
  const Matched& matched = match(source, block, record);
  if (!matched.deliverable) note_undeliverable(source, count);
  const auto alike = block.records().subspan(first, count);
  for (const Target& target : matched.targets) {
    if (takes_all(source, block, alike, target, sweep)) {
      offer(target.subscriber, {first, count, &target.grant});
      continue;
    }
    for (std::uint32_t i = first; i < first + count; ++i)
      if (const Target* wanted = narrow(source, block, block.records()[i], target, sweep))
        offer(target.subscriber, {i, 1, &wanted->grant});
  }
}

// Whether the record at `offset` comes to a subscriber now: from the tail, or from a sweep that it
// takes part in. True of all between two of which it is true.
bool Distributor::is_due(const Source& source, const Subscriber& subscriber, Offset offset,
                         const Sweep* sweep) {
  const Lag::At* lag = subscriber.lag ? subscriber.lag->find(source.partition) : nullptr;
  if (!sweep) return !lag && offset >= source.next;
  return lag && sweep->has(*lag) && !subscriber.lag->blocked &&
         offset >= std::max(lag->next, sweep->swept) && offset < lag->stop;
}

// Whether narrow() would grant each of these records as it is; false when it is not plain.
bool Distributor::takes_all(const Source& source, const log::Block& block,
                            std::span<const log::Record> alike, const Target& target,
                            const Sweep* sweep) {
  const Subscriber& subscriber = subscriptions_.at(target.subscriber);
  return !target.no_local && (!sweep || !subscriber.has_new_filters()) &&
         is_due(source, subscriber, offset_of(block, alike.front()), sweep) &&
         is_due(source, subscriber, offset_of(block, alike.back()), sweep);
}

// What a subscriber that matches really gets of a record: nothing, or a grant without the filters
// that are too new.
const Target* Distributor::narrow(const Source& source, const log::Block& block,
                                  const log::Record& record, const Target& target,
                                  const Sweep* sweep) {
  const Subscriber& subscriber = subscriptions_.at(target.subscriber);
  const Offset offset = offset_of(block, record);
  if (!is_due(source, subscriber, offset, sweep)) return nullptr;
  const Target* wanted = &target;
  if (sweep && subscriber.has_new_filters()) {
    const std::string topic = source.prefix + std::string(as_text(block.key(record)));
    const Matched& narrowed = subscriptions_.match_since(target.subscriber, source.scope(), topic,
                                                         source.partition, offset);
    if (narrowed.targets.empty()) return nullptr;
    wanted = &narrowed.targets.front();
  }
  if (wanted->no_local && publisher_of(block, record) == subscriber.session) return nullptr;
  return wanted;
}

void Distributor::offer(std::uint32_t subscriber, const Delivery& delivery) {
  if (subscriber >= offered_at_.size()) offered_at_.resize(subscriber + 1);
  std::uint32_t& place = offered_at_[subscriber];
  if (place == 0) {
    if (offered_count_ == offered_.size()) offered_.emplace_back();
    offered_[offered_count_].handle = subscriptions_.handle(subscriber);
    place = static_cast<std::uint32_t>(++offered_count_);
  }
  auto& deliveries = offered_[place - 1].deliveries;
  const bool goes_on = !deliveries.empty() && deliveries.back().grant == delivery.grant &&
                       deliveries.back().record + deliveries.back().count == delivery.record;
  if (goes_on)
    deliveries.back().count += delivery.count;
  else
    deliveries.push_back(delivery);
}

void Distributor::deliver(Source& source, const stream::BlockRef& block, bool in_portions) {
  const Partition partition = source.partition;
  const std::string prefix =
      source.prefix;  // a sink may close its connection, and with it the source
  for (std::size_t i = 0; i < offered_count_; ++i) {
    auto& [handle, deliveries] = offered_[i];
    offered_at_[handle.index] = 0;
    if (Subscriber* subscriber = subscriptions_.find(handle)) {
      const DeliveryBatch batch{.prefix = prefix,
                                .block = block,
                                .deliveries = deliveries,
                                .in_portions = in_portions,
                                .partition = partition};
      const std::size_t taken = subscriber->is_held() ? 0 : subscriber->sink->on_records(batch);
      Source* still = find(partition);
      if (taken < count_records(deliveries) && still)
        start_lag(*still, handle, offset_of(*block, block->records()[record_at(deliveries, taken)]),
                  true);
    }
    deliveries.clear();
  }
  offered_count_ = 0;
}

void Distributor::note_undeliverable(Source& source, std::uint32_t count) {
  undeliverable_.add(count);
  if (std::exchange(source.warned, true)) return;
  logger.warn("records without a usable topic are not delivered to MQTT",
              {{"stream", source.stream},
               {"partition", source.partition.index},
               {"reason", "the key is missing, not UTF-8, or holds '+', '#' or NUL"}});
}

}  // namespace sluice::hub
