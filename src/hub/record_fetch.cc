#include "hub/record_fetch.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "hub/find_record.h"

namespace sluice::hub {

namespace {

constexpr Offset end_of_all{std::numeric_limits<std::int64_t>::max()};
constexpr std::size_t read_size = 64 << 10;
constexpr runtime::Duration retry_delay = std::chrono::seconds(1);

}  // namespace

void RecordFetch::start(Handle asker, std::vector<WantedRecord> records, FetchSink& sink,
                        Done<std::size_t> done) {
  go_on_later(std::make_shared<Fetch>(Fetch{asker, std::move(records), &sink, std::move(done)}));
}

// In a turn of its own, so that neither calls nor work pile up where the log answers at once.
void RecordFetch::go_on_later(const FetchRef& fetch) {
  loop_.post([this, fetch] { go_on(fetch); });
}

void RecordFetch::go_on(const FetchRef& fetch) {
  if (!is_there(fetch->asker)) return;
  while (fetch->next < fetch->records.size()) {
    const WantedRecord& wanted = fetch->records[fetch->next];
    if (!wanted.retained_topic.empty()) return find_retained(fetch, {});
    if (!fetch->knows(wanted.position)) return read(fetch, wanted.position);
    const bool taken = hand_over(*fetch, wanted);
    if (!is_there(fetch->asker)) return;
    if (!taken) break;
    ++fetch->next;
  }
  fetch->done(fetch->next);
}

bool RecordFetch::hand_over(const Fetch& fetch, const WantedRecord& wanted) {
  const Position position = wanted.position;
  const auto after = std::ranges::upper_bound(fetch.blocks, position.offset, {}, &log::Block::from);
  if (after != fetch.blocks.begin()) {
    const stream::BlockRef& block = *std::prev(after);
    if (const auto record = find_record(*block, position.offset)) {
      const std::string_view key = as_text(block->key(block->records()[*record]));
      return fetch.sink->on_fetched(
          {position, fetch.prefix, block, *record, grant_again(fetch, wanted, key)});
    }
  }
  fetch.sink->on_gone(position);
  return true;
}

const Grant* RecordFetch::grant_again(const Fetch& fetch, const WantedRecord& wanted,
                                      std::string_view key) {
  const Handle replay = replays_.cursor_of(fetch.asker, wanted.replay);
  return distributor_.grant_again(replay.valid() ? replay : fetch.asker, wanted.position,
                                  fetch.prefix + std::string(key));
}

void RecordFetch::read(const FetchRef& fetch, Position position) {
  fetch->partition = position.partition;
  fetch->from = {};
  fetch->until = end_of_all;
  fetch->blocks.clear();
  const auto* stream = stream_.catalogue().find(position.partition.stream);
  if (!stream) return go_on_later(fetch);
  fetch->prefix = router_.prefix_of(*stream);
  stream_.read(position.partition, position.offset, read_size, stream::Want::records,
               [this, fetch, position](Result<stream::ReadAnswer> answer) {
                 on_read(fetch, position, std::move(answer));
               });
}

void RecordFetch::on_read(const FetchRef& fetch, Position position,
                          Result<stream::ReadAnswer> answer) {
  if (answer) {
    fetch->blocks = std::move(answer->blocks);
    fetch->from = fetch->blocks.empty() ? position.offset
                                        : std::min(position.offset, fetch->blocks.front()->from());
    fetch->until = std::max(answer->next, position.offset + 1);  // or it lies at the end
    return go_on_later(fetch);
  }
  if (answer.error().code == Errc::not_found) return go_on_later(fetch);
  fetch->until = fetch->from;
  if (answer.error().code == Errc::out_of_range) return find_bounds(fetch, position);
  retry(fetch);
}

// Retention has taken it, or the log has lost its end.
void RecordFetch::find_bounds(const FetchRef& fetch, Position position) {
  stream_.bounds(position.partition, [this, fetch, position](Result<stream::Bounds> bounds) {
    if (!bounds) return retry(fetch);
    if (position.offset < bounds->start) {
      fetch->until = bounds->start;
    } else if (position.offset >= bounds->visible_end) {
      fetch->from = bounds->visible_end;
      fetch->until = end_of_all;
    }
    go_on_later(fetch);
  });
}

// --- retained messages

void RecordFetch::find_retained(const FetchRef& fetch, const std::string& from) {
  const std::string& topic = fetch->records[fetch->next].retained_topic;
  const auto partition = router_.partition_of(topic);
  const auto* stream = partition ? stream_.catalogue().find(partition->stream) : nullptr;
  if (!stream) return on_retained(fetch, {}, {});
  fetch->prefix = router_.prefix_of(*stream);
  latest_.settle(
      {{stream->id, stream->config.partitions}},
      [this, fetch, partition = *partition, from] { scan_retained(fetch, partition, from); });
}

void RecordFetch::scan_retained(const FetchRef& fetch, Partition partition,
                                const std::string& from) {
  latest_.scan({.partition = partition,
                .filter = fetch->records[fetch->next].retained_topic,
                .from = from,
                .before = end_of_all},
               [this, fetch, partition](const Result<latest::Portion>& portion) {
                 if (!portion) return retry(fetch);
                 if (!portion->block && portion->next) return find_retained(fetch, *portion->next);
                 on_retained(fetch, partition, *portion);
               });
}

// If it is the one that was sent, it has stayed where it was, or has moved with its topic.
void RecordFetch::on_retained(const FetchRef& fetch, Partition partition,
                              const latest::Portion& portion) {
  if (!is_there(fetch->asker)) return;
  const WantedRecord& wanted = fetch->records[fetch->next];
  const Position position = wanted.position;
  const bool is_same =
      portion.block && (portion.published_at.front() == latest::Portion::elsewhere ||
                        Position{partition, portion.published_at.front()} == position);
  bool taken = true;
  if (is_same)
    taken =
        fetch->sink->on_fetched({.position = position,
                                 .prefix = fetch->prefix,
                                 .block = portion.block,
                                 .record = 0,
                                 .grant = distributor_.grant_again(
                                     fetch->asker, {partition, end_of_all}, wanted.retained_topic),
                                 .is_retained = true});
  else
    fetch->sink->on_gone(position);
  if (!is_there(fetch->asker)) return;
  if (!taken) return fetch->done(fetch->next);
  ++fetch->next;
  go_on_later(fetch);
}

void RecordFetch::retry(const FetchRef& fetch) {
  loop_.run_after(retry_delay, [this, fetch] { go_on(fetch); });
}

}  // namespace sluice::hub
