// What came back from members of a shared subscription: read from the log again, for others.
#include <algorithm>
#include <limits>
#include <utility>

#include "hub/find_record.h"
#include "hub/share_group.h"

namespace sluice::hub {

namespace {

constexpr Offset end_of_all{std::numeric_limits<std::int64_t>::max()};
constexpr std::size_t read_size = 256 << 10;
constexpr runtime::Duration retry_delay = std::chrono::seconds(1);

}  // namespace

// Removes those in this part of the log.
std::vector<Position> ShareGroup::take_returned(Partition partition, Offset from, Offset until) {
  const auto first = std::ranges::lower_bound(returned_, Position{partition, from});
  const auto last = std::ranges::lower_bound(returned_, Position{partition, std::max(from, until)});
  std::vector<Position> taken(first, last);
  returned_.erase(first, last);
  moved_ |= !taken.empty();
  return taken;
}

void ShareGroup::read_returned() {
  if (reading_) return;
  while (!returned_.empty() &&
         !context_.stream.catalogue().find(returned_.front().partition.stream))
    take_returned(returned_.front().partition, {}, end_of_all);
  if (returned_.empty()) return wake();
  reading_ = true;
  const Position from = returned_.front();
  context_.stream.read(
      from.partition, from.offset, read_size, stream::Want::records,
      when_alive([from](ShareGroup& group, const Result<stream::ReadAnswer>& answer) {
        group.reading_ = false;
        group.on_returned_read(from, answer);
      }));
}

void ShareGroup::on_returned_read(Position from, const Result<stream::ReadAnswer>& answer) {
  const Partition partition = from.partition;
  if (!answer) {
    if (answer.error().code == Errc::out_of_range) skip_lost(partition);
    context_.loop.run_after(retry_delay, when_alive([](ShareGroup& group) { group.wake(); }));
    return;
  }
  Offset reached = from.offset;
  for (const auto& block : answer->blocks) {
    take_returned(partition, reached, block->from());  // compaction has left a hole there
    if (!give_returned(partition, block)) return;      // goes on with wake()
    reached = block->until();
  }
  take_returned(partition, reached, std::max(answer->next, from.offset + 1));
  wake();
}

// False: there is no room for all of them.
bool ShareGroup::give_returned(Partition partition, const stream::BlockRef& block) {
  const auto* stream = context_.stream.catalogue().find(partition.stream);
  if (!stream) return true;
  std::vector<Position> positions = take_returned(partition, block->from(), block->until());
  std::vector<Delivery> deliveries;
  std::erase_if(positions, [&](const Position& position) {
    const auto record = find_record(*block, position.offset);
    if (record) deliveries.push_back({*record, 1, nullptr});
    return !record;
  });
  if (deliveries.empty()) return true;
  const std::size_t given = give({.prefix = context_.router.prefix_of(*stream),
                                  .block = block,
                                  .deliveries = deliveries,
                                  .partition = partition});
  given_.clear();
  redelivered_.add(given);
  put_back({positions.begin() + static_cast<std::ptrdiff_t>(given), positions.end()});
  return given == positions.size();
}

// Retention has overtaken what came back: counted, and gone. So is what a log that has lost its end
// does not have.
void ShareGroup::skip_lost(Partition partition) {
  context_.stream.bounds(
      partition, when_alive([partition](ShareGroup& group, const Result<stream::Bounds>& bounds) {
        if (!bounds) return;
        group.lost_.add(group.take_returned(partition, {}, bounds->start).size());
        group.take_returned(partition, bounds->visible_end, end_of_all);
      }));
}

}  // namespace sluice::hub
