// Subscribers that may not be further behind than a limit says.
//
// How far back a limit reaches in a partition is asked of the stream, for all that have the same
// limit at once, when one of them is to read there, and at most once a second.
#include <algorithm>
#include <memory>
#include <utility>

#include "base/together.h"
#include "hub/distributor.h"

namespace sluice::hub {

namespace {

constexpr runtime::Duration floor_lasts = std::chrono::seconds(1);

}  // namespace

// Before each read of a sweep. False: it is not to be read now; the sweep goes on by itself when it
// is known how far the limits reach.
bool Distributor::keep_limits(SourceId id, std::uint8_t sweep) {
  Source* source = find_same(id);
  if (!source) return false;
  std::vector<LagLimit> unknown;
  const std::vector<Beyond> beyond = find_beyond(*source, unknown);
  if (!unknown.empty()) {
    ask_floors(id, sweep, unknown);
    return false;
  }
  for (const auto& [handle, to] : beyond) {
    // A sink may end its subscriber, and with it the source.
    if (source = find_same(id); !source) return false;
    skip_to(*source, handle, to, Loss::lag_limit);
  }
  if (source = find_same(id); source && !beyond.empty())
    close_ranks(*source, source->sweeps[sweep - 1u]);
  return true;
}

// Who is to read on and is too far behind. Limits that are not known are added to `unknown`.
std::vector<Distributor::Beyond> Distributor::find_beyond(const Source& source,
                                                          std::vector<LagLimit>& unknown) {
  std::vector<Beyond> beyond;
  for (const Handle handle : source.lagging) {
    const Lag::At* at = find_lag(source, handle);
    if (!at) continue;
    const Subscriber& subscriber = *subscriptions_.find(handle);
    const Offset next = next_of(source, subscriber, *at);
    if (subscriber.lag->blocked || next >= at->stop || next >= source.next) continue;
    const LagLimit* limit = subscriber.lag_limit();
    if (!limit) continue;
    const auto floor = std::ranges::find(source.floors, *limit, &Floor::limit);
    if (floor == source.floors.end() || floor->known_until <= loop_.now()) {
      if (std::ranges::find(unknown, *limit) == unknown.end()) unknown.push_back(*limit);
    } else if (next < floor->from) {
      const bool to_end = limit == &subscriber.lag->limits->qos0;
      beyond.push_back({handle, to_end ? source.next : std::min(floor->from, source.next)});
    }
  }
  return beyond;
}

// What can't be told limits nobody for now.
void Distributor::ask_floors(SourceId id, std::uint8_t sweep, const std::vector<LagLimit>& limits) {
  const auto floors = std::make_shared<std::vector<Floor>>();
  for (const LagLimit& limit : limits) floors->push_back({.limit = limit});
  const Together asked(2 * limits.size(), [this, id, sweep, floors](const Result<void>&) {
    on_floors(id, sweep, *floors);
  });
  for (std::size_t i = 0; i < limits.size(); ++i) {
    const auto on_found = [&from = (*floors)[i].from, floors, asked](Offset found) {
      from = std::max(from, found);
      asked.answer()({});
    };
    if (limits[i].bytes > 0)
      stream_.resolve_newest(
          id.partition, limits[i].bytes,
          [on_found](const Result<Offset>& found) { on_found(found.value_or(Offset{})); });
    else
      on_found(Offset{});
    if (limits[i].age.count() > 0)
      stream_.resolve(id.partition, stream::Start::at_time, loop_.wall_ms() - limits[i].age.count(),
                      [on_found](const Result<stream::Resolved>& found) {
                        on_found(found ? found->next : Offset{});
                      });
    else
      on_found(Offset{});
  }
}

void Distributor::on_floors(SourceId id, std::uint8_t sweep, const std::vector<Floor>& floors) {
  Source* source = find_same(id);
  if (!source) return;
  for (const Floor& floor : floors) {
    std::erase_if(source->floors, [&](const Floor& old) { return old.limit == floor.limit; });
    source->floors.push_back(floor);
    source->floors.back().known_until = loop_.now() + floor_lasts;
  }
  post_step(*source, source->sweeps[sweep - 1u]);
}

}  // namespace sluice::hub
