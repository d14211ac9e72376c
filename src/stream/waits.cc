#include "stream/waits.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "stream/embedded_stream.h"

namespace sluice::stream {
namespace {

constexpr Offset far_end{std::numeric_limits<std::int64_t>::max()};

}  // namespace

WaitId Waits::wait_beyond(Partition partition, Offset next, Task callback) {
  const auto owner = home_.owner_of(partition);
  const bool own = owner == home_.shard();
  const auto bounds = own ? home_.log().bounds(partition) : Bounds{};
  if (!home_.knows(partition) || !bounds || bounds->visible_end > next) {
    callback();
    return WaitId::none;
  }
  const WaitId id{++last_id_};
  waits_.emplace(id, Wait{partition, next, std::move(callback)});
  of_partition_[partition].push_back(id);
  if (!own) ask_owner(owner, partition, next);
  return id;
}

void Waits::cancel(WaitId wait) {
  const auto found = waits_.find(wait);
  if (found == waits_.end()) return;
  const auto ids = of_partition_.find(found->second.partition);
  std::erase(ids->second, wait);
  if (ids->second.empty()) of_partition_.erase(ids);
  waits_.erase(found);
}

void Waits::on_commit(Partition partition, Offset end) {
  if (const auto watches = watches_.find(partition); watches != watches_.end()) {
    std::erase_if(watches->second, [&](const Watch& watch) {
      if (watch.next >= end) return false;
      tell(partition, watch.reader);
      return true;
    });
    if (watches->second.empty()) watches_.erase(watches);
  }
  run_waits(partition, end);
}

void Waits::forget(Partition partition) {
  asked_.erase(partition);
  run_waits(partition, far_end);
}

// A watch under way for the same or a lower offset will do: its answer runs all that wait.
void Waits::ask_owner(ShardId owner, Partition partition, Offset next) {
  const auto [asked, is_new] = asked_.try_emplace(partition, next);
  if (!is_new && asked->second <= next) return;
  asked->second = next;
  home_.send(owner, [partition, reader = home_.shard(), next](EmbeddedStream& there) {
    there.waits().watch(partition, reader, next);
  });
}

void Waits::watch(Partition partition, ShardId reader, Offset next) {
  const auto bounds = home_.log().bounds(partition);
  if (!bounds || bounds->visible_end > next) return tell(partition, reader);
  auto& watches = watches_[partition];
  const auto known = std::ranges::find(watches, reader, &Watch::reader);
  if (known == watches.end()) {
    watches.push_back({reader, next});
  } else {
    known->next = std::min(known->next, next);
  }
}

void Waits::tell(Partition partition, ShardId reader) {
  home_.send(reader, [partition](EmbeddedStream& there) { there.waits().forget(partition); });
}

// A callback may add and cancel waits. It is not run for those that it adds.
void Waits::run_waits(Partition partition, Offset end) {
  const auto found = of_partition_.find(partition);
  if (found == of_partition_.end()) return;
  const auto ids = found->second;
  for (const auto id : ids) {
    const auto wait = waits_.find(id);
    if (wait == waits_.end() || wait->second.next >= end) continue;
    auto callback = std::move(wait->second.callback);
    cancel(id);
    callback();
  }
}

}  // namespace sluice::stream
