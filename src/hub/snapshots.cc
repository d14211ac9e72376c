#include "hub/snapshots.h"

#include <algorithm>
#include <utility>

#include "base/logger.h"
#include "hub/message.h"

namespace sluice::hub {

namespace {

constexpr Logger logger("hub");
constexpr std::size_t portion_size_min = 8 << 10;
constexpr runtime::Duration retry_delay = std::chrono::seconds(1);

}  // namespace

Snapshots::Snapshots(runtime::Loop& loop, stream::Stream& stream, const Router& router,
                     Subscriptions& subscriptions, latest::Latest& latest,
                     std::function<void(Handle)> released, std::function<void(Handle)> note_places)
    : loop_(loop),
      stream_(stream),
      router_(router),
      subscriptions_(subscriptions),
      latest_(latest),
      released_(std::move(released)),
      note_places_(std::move(note_places)) {}

// --- which there are

Snapshot* Snapshots::find(Handle handle, std::uint64_t id) {
  Subscriber* subscriber = subscriptions_.find(handle);
  if (!subscriber || !subscriber->lag) return nullptr;
  auto& snapshots = subscriber->lag->snapshots;
  const auto found = std::ranges::find(snapshots, id, &Snapshot::id);
  return found == snapshots.end() ? nullptr : &*found;
}

std::uint64_t Snapshots::add(Handle handle, const std::string& filter) {
  remove(handle, filter);
  Subscriber* subscriber = subscriptions_.find(handle);
  subscriptions_.lag_of(*subscriber).snapshots.push_back({.id = ++last_id_, .filter = filter});
  return last_id_;
}

void Snapshots::add_place(Handle handle, std::uint64_t id, Partition partition, Offset before) {
  Snapshot* snapshot = find(handle, id);
  if (!snapshot) return;
  snapshot->places.push_back({partition, before});
  snapshot->settled = false;
  renew_stops(handle);
}

void Snapshots::start(Handle handle, std::uint64_t id) {
  Snapshot* snapshot = find(handle, id);
  if (!snapshot) return;
  if (snapshot->places.empty()) return end(handle, id);
  snapshot->started = true;
  wake(handle);
}

void Snapshots::remove(Handle handle, std::string_view filter) {
  const Subscriber* subscriber = subscriptions_.find(handle);
  if (!subscriber || !subscriber->lag) return;
  const auto& snapshots = subscriber->lag->snapshots;
  const auto found = std::ranges::find(snapshots, filter, &Snapshot::filter);
  if (found != snapshots.end()) end(handle, found->id);
}

void Snapshots::end(Handle handle, std::uint64_t id) {
  Subscriber* subscriber = subscriptions_.find(handle);
  Lag& lag = *subscriber->lag;
  std::erase_if(lag.snapshots, [&](const Snapshot& snapshot) { return snapshot.id == id; });
  renew_stops(handle);
  if (!lag.snapshots.empty()) wake(handle);
  if (lag.is_over())
    subscriber->lag.reset();
  else
    released_(handle);
}

void Snapshots::renew_stops(Handle handle) {
  note_places_(handle);
  Lag& lag = *subscriptions_.find(handle)->lag;
  for (Lag::At& at : lag.at) {
    at.stop = Lag::no_stop;
    for (const Snapshot& snapshot : lag.snapshots)
      for (const Snapshot::Place& place : snapshot.places)
        if (place.partition == at.partition) at.stop = std::min(at.stop, place.before);
  }
}

// One whose places are not complete yet counts, too: its filter is stored when they are.
std::vector<sessions::RetainedRest> Snapshots::rests(Handle handle) {
  std::vector<sessions::RetainedRest> all;
  const Subscriber* subscriber = subscriptions_.find(handle);
  if (!subscriber || !subscriber->lag) return all;
  for (const Snapshot& snapshot : subscriber->lag->snapshots) {
    if (snapshot.places.empty()) continue;
    sessions::RetainedRest& rest = all.emplace_back();
    rest.filter = snapshot.filter;
    for (const auto& [partition, before] : snapshot.places)
      rest.before.push_back({partition, before});
    rest.done = static_cast<std::uint32_t>(snapshot.done);
    rest.from = snapshot.from;
  }
  return all;
}

void Snapshots::restore(Handle handle, const sessions::RetainedRest& rest,
                        const std::vector<Partition>& made_since) {
  Snapshot& snapshot = *find(handle, add(handle, rest.filter));
  for (const auto& [partition, before] : rest.before)
    snapshot.places.push_back({partition, before});
  for (const Partition partition : made_since) snapshot.places.push_back({partition, Offset{0}});
  snapshot.done = std::min<std::size_t>(rest.done, snapshot.places.size());
  snapshot.from = rest.from;
  snapshot.started = true;  // and runs with resume()
  renew_stops(handle);
}

// Rows that were moved have versions below all offsets, so the new places give them alone.
void Snapshots::extend(const stream::StreamInfo& stream) {
  subscriptions_.for_each([&](std::uint32_t index, const Subscriber& subscriber) {
    if (!subscriber.lag) return;
    for (const Snapshot& snapshot : subscriber.lag->snapshots)
      if (router_.covers(snapshot.filter, stream))
        for (std::uint32_t i = 0; i < stream.config.partitions; ++i)
          add_place(subscriptions_.handle(index), snapshot.id, {stream.id, i}, Offset{0});
  });
}

// --- the one that runs

void Snapshots::wake(Handle handle) {
  loop_.post([this, handle] { run(handle); });
}

void Snapshots::run(Handle handle) {
  Subscriber* subscriber = subscriptions_.find(handle);
  if (!subscriber || !subscriber->lag || subscriber->lag->blocked) return;
  Lag& lag = *subscriber->lag;
  if (lag.snapshots.empty()) return;
  Snapshot& snapshot = lag.snapshots.front();
  if (!snapshot.started || snapshot.asked) return;
  note_places_(handle);
  const auto is_ahead = [&](const Snapshot::Place& place) {
    const Lag::At* at = lag.find(place.partition);
    return at && at->next < place.before && !at->stopped();
  };
  if (std::ranges::any_of(snapshot.places, is_ahead)) return;
  if (!snapshot.settled) return settle(handle, snapshot);
  if (snapshot.done == snapshot.places.size()) return end(handle, snapshot.id);
  scan(handle, snapshot);
}

void Snapshots::settle(Handle handle, Snapshot& snapshot) {
  // Also those without a place: messages may be on their way from there.
  std::vector<latest::Extent> extents;
  for (const auto& [name, stream] : stream_.catalogue().all())
    if (router_.covers(snapshot.filter, stream))
      extents.push_back({stream.id, stream.config.partitions});
  snapshot.asked = true;
  snapshot.settled = true;  // unless places are added meanwhile
  latest_.settle(std::move(extents), [this, handle, id = snapshot.id] {
    Snapshot* still = find(handle, id);
    if (!still) return;
    still->asked = false;
    wake(handle);
  });
}

void Snapshots::scan(Handle handle, Snapshot& snapshot) {
  const Snapshot::Place& place = snapshot.places[snapshot.done];
  snapshot.asked = true;
  latest_.scan(
      {.partition = place.partition,
       .filter = snapshot.filter,
       .from = snapshot.from,
       .before = place.before,
       .bytes_max = snapshot.portion_size},
      [this, handle, id = snapshot.id, partition = place.partition](
          const Result<latest::Portion>& portion) { on_portion(handle, id, partition, portion); });
}

void Snapshots::on_portion(Handle handle, std::uint64_t id, Partition partition,
                           const Result<latest::Portion>& portion) {
  Snapshot* snapshot = find(handle, id);
  if (!snapshot) return;
  snapshot->asked = false;
  if (!portion) {
    logger.warn("retained messages can't be read; tried again", {{"reason", portion.error().text}});
    loop_.run_after(retry_delay, [this, handle] { run(handle); });
    return;
  }
  if (portion->block && !deliver(handle, id, partition, *portion)) return;
  if (snapshot = find(handle, id); !snapshot) return;  // a sink may end its subscriber
  snapshot->from = portion->next.value_or("");
  if (!portion->next) ++snapshot->done;
  wake(handle);
}

// False: not all was taken, and the snapshot goes on from there after resume().
bool Snapshots::deliver(Handle handle, std::uint64_t id, Partition partition,
                        const latest::Portion& portion) {
  const stream::BlockRef& block = portion.block;
  Subscriber& subscriber = *subscriptions_.find(handle);
  const Filter* filter = subscriber.find(find(handle, id)->filter);
  const auto* stream = stream_.catalogue().find(partition.stream);
  if (!filter || !stream) return true;
  const SubscribeOptions options = filter->options;
  const std::span ids(&options.id, options.id == 0 ? 0 : 1);
  const Grant grant{
      .qos = options.qos, .retain_as_published = options.retain_as_published, .ids = ids};
  const auto records = block->records();
  deliveries_.clear();
  for (std::uint32_t i = 0; i < records.size(); ++i)
    if (!options.no_local || publisher_of(*block, records[i]) != subscriber.session)
      deliveries_.push_back({i, 1, &grant});
  if (deliveries_.empty()) return true;
  const std::size_t taken = subscriber.sink->on_records({.prefix = router_.prefix_of(*stream),
                                                         .block = block,
                                                         .deliveries = deliveries_,
                                                         .origin = Origin::retained,
                                                         .partition = partition,
                                                         .published_at = portion.published_at});
  Snapshot* snapshot = find(handle, id);
  if (!snapshot || taken >= count_records(deliveries_)) return true;
  note_places_(handle);
  subscriptions_.find(handle)->lag->blocked = true;
  snapshot->from = latest::place_of(*block, records[record_at(deliveries_, taken)]);
  snapshot->portion_size = std::max(snapshot->portion_size / 2, portion_size_min);
  return false;
}

}  // namespace sluice::hub
