// Subscribers that may not be further behind than a limit says.
//
// How far back a limit reaches in a partition is asked of the stream, for all that have the same
// limit at once, when one of them is to read there, and at most once a second.
#include <algorithm>
#include <memory>
#include <utility>

#include "hub/distributor.h"

namespace sluice::hub {

namespace {

constexpr runtime::Duration floor_lasts = std::chrono::seconds(1);

}  // namespace

// Before each read of a sweep. False: it is not to be read now; the sweep goes on by itself when it
// is known how far the limits reach.
bool Distributor::keep_limits(SourceId id) {
  Source* source = find_same(id);
  if (!source) return false;
  std::vector<LagLimit> unknown;
  const std::vector<Beyond> beyond = find_beyond(*source, unknown);
  if (!unknown.empty()) {
    ask_floors(id, unknown);
    return false;
  }
  for (const auto& [handle, to] : beyond) {
    // A sink may end its subscriber, and with it the source.
    if (source = find_same(id); !source) return false;
    skip_to(*source, handle, to, Loss::lag_limit);
  }
  return true;
}

// Who is to read on and is too far behind. Limits that are not known are added to `unknown`.
std::vector<Distributor::Beyond> Distributor::find_beyond(const Source& source,
                                                          std::vector<LagLimit>& unknown) {
  std::vector<Beyond> beyond;
  for (const Handle handle : source.lagging) {
    const Subscriber& subscriber = *subscriptions_.find(handle);
    const Lag::At& at = *subscriber.lag->find(source.partition);
    if (subscriber.lag->blocked || at.stopped() || at.next >= source.next) continue;
    const LagLimit* limit = subscriber.lag_limit();
    if (!limit) continue;
    const auto floor = std::ranges::find(source.floors, *limit, &Floor::limit);
    if (floor == source.floors.end() || floor->known_until <= loop_.now()) {
      if (std::ranges::find(unknown, *limit) == unknown.end()) unknown.push_back(*limit);
    } else if (at.next < floor->from) {
      const bool to_end = limit == &subscriber.lag->limits->qos0;
      beyond.push_back({handle, to_end ? source.next : std::min(floor->from, source.next)});
    }
  }
  return beyond;
}

// What can't be told limits nobody for now.
void Distributor::ask_floors(SourceId id, const std::vector<LagLimit>& limits) {
  struct Asking {
    std::vector<Floor> floors;
    std::size_t open = 1;  // answers, and the end of this call
  };
  const auto asking = std::make_shared<Asking>();
  for (const LagLimit& limit : limits) asking->floors.push_back({.limit = limit});
  const auto finish_one = [this, id, asking] {
    if (--asking->open == 0) on_floors(id, asking->floors);
  };
  for (std::size_t i = 0; i < limits.size(); ++i) {
    const auto on_answer = [asking, i, finish_one](Offset from) {
      Floor& floor = asking->floors[i];
      floor.from = std::max(floor.from, from);
      finish_one();
    };
    if (limits[i].bytes > 0) {
      ++asking->open;
      stream_.resolve_newest(
          id.partition, limits[i].bytes,
          [on_answer](const Result<Offset>& from) { on_answer(from.value_or(Offset{})); });
    }
    if (limits[i].age.count() > 0) {
      ++asking->open;
      stream_.resolve(id.partition, stream::Start::at_time, loop_.wall_ms() - limits[i].age.count(),
                      [on_answer](const Result<stream::Resolved>& found) {
                        on_answer(found ? found->next : Offset{});
                      });
    }
  }
  finish_one();
}

void Distributor::on_floors(SourceId id, const std::vector<Floor>& floors) {
  Source* source = find_same(id);
  if (!source) return;
  for (const Floor& floor : floors) {
    std::erase_if(source->floors, [&](const Floor& old) { return old.limit == floor.limit; });
    source->floors.push_back(floor);
    source->floors.back().known_until = loop_.now() + floor_lasts;
  }
  loop_.post([this, id] { sweep(id); });
}

}  // namespace sluice::hub
