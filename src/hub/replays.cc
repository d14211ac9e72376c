#include "hub/replays.h"

#include <algorithm>
#include <utility>

#include "hub/replay_start.h"
#include "topic/topic.h"

namespace sluice::hub {

Replays::Replay* Replays::find(Handle subscriber, std::string_view text) {
  const auto list = of_subscribers_.find(subscriber.index);
  if (list == of_subscribers_.end()) return nullptr;
  const auto found = std::ranges::find(list->second, text, &Replay::text);
  return found == list->second.end() ? nullptr : &*found;
}

Replays::Replay& Replays::find_or_add(Handle subscriber, const std::string& text) {
  if (Replay* replay = find(subscriber, text)) return *replay;
  return of_subscribers_[subscriber.index].emplace_back(
      Replay{.text = text, .mark = sessions::group_mark(text)});
}

bool Replays::has(Handle subscriber, std::string_view text) { return find(subscriber, text); }

void Replays::subscribe(Handle subscriber, const std::string& text, const SubscribeOptions& options,
                        const std::optional<StartPoint>& from, Done<void> done) {
  Replay* known = find(subscriber, text);
  if (!from && known && known->cursor.valid()) return go_on(*known, options, std::move(done));
  const auto wanted = topic::parse_replay(text);
  if (!wanted) return done(std::unexpected(wanted.error()));
  const auto* stream = stream_.catalogue().find(wanted->stream);
  if (!stream || stream->config.internal)
    return done(fail(Errc::not_found, "there is no stream '{}'", wanted->stream));
  if (options.partitions_max > 0 &&
      count_others(subscriber, text) + stream->config.partitions > options.partitions_max)
    return done(fail(Errc::too_large, "with the replay '{}' more than {} partitions are covered",
                     text, options.partitions_max));
  ++find_or_add(subscriber, text).asked;
  resolve_start(stream_, *stream, from.value_or(StartPoint{StartPoint::Kind::earliest}),
                [this, subscriber, text, options,
                 done = std::move(done)](Result<std::vector<Offset>> starts) mutable {
                  on_starts(subscriber, text, options, std::move(starts), std::move(done));
                });
}

void Replays::on_starts(Handle subscriber, const std::string& text, const SubscribeOptions& options,
                        Result<std::vector<Offset>> starts, Done<void> done) {
  // The subscriber may be gone, or have unsubscribed.
  Replay* replay = distributor_.sink_of(subscriber) ? find(subscriber, text) : nullptr;
  if (!replay) return done(fail(Errc::closed, "the subscription '{}' has ended", text));
  --replay->asked;
  if (starts) {
    replay->options = options;
    return begin(subscriber, *replay, *starts, std::move(done));
  }
  if (!replay->cursor.valid() && replay->asked == 0) unsubscribe(subscriber, text);
  done(std::unexpected(std::move(starts.error())));
}

std::size_t Replays::count_others(Handle subscriber, std::string_view text) {
  std::size_t count = 0;
  const auto list = of_subscribers_.find(subscriber.index);
  if (list == of_subscribers_.end()) return count;
  for (const Replay& replay : list->second) {
    const auto wanted = topic::parse_replay(replay.text);
    const auto* stream = stream_.catalogue().find(wanted->stream);
    if (stream && replay.text != text) count += stream->config.partitions;
  }
  return count;
}

void Replays::go_on(Replay& replay, const SubscribeOptions& options, Done<void> done) {
  replay.options = options;
  const StoredFilter filter = own_filter(replay.text, options);
  distributor_.subscribe(replay.cursor, filter.text, filter.options, std::move(done));
}

// One that was there already goes on at the new place.
void Replays::begin(Handle subscriber, Replay& replay, const std::vector<Offset>& starts,
                    Done<void> done) {
  if (replay.cursor.valid()) distributor_.remove(replay.cursor);
  replay.cursor = distributor_.add_beside(subscriber);
  const StoredFilter filter = own_filter(replay.text, replay.options);
  distributor_.subscribe(replay.cursor, filter.text, filter.options, std::move(done), starts);
}

StoredFilter Replays::own_filter(std::string_view text, const SubscribeOptions& options) const {
  const auto wanted = topic::parse_replay(text);
  SubscribeOptions own = options;
  own.streams = router_.is_default(wanted->stream) ? Streams::plain : Streams::named;
  own.replay = sessions::group_mark(text);
  own.send_retained = false;
  own.partitions_max = 0;
  return {router_.filter_of(wanted->stream, wanted->filter), own, {}};
}

void Replays::restore(Handle subscriber, const StoredFilter& filter, Done<void> done) {
  Replay& replay = find_or_add(subscriber, filter.text);
  replay.options = filter.options;
  replay.cursor = distributor_.add_beside(subscriber);
  distributor_.restore(replay.cursor, {own_filter(filter.text, filter.options)}, filter.since,
                       std::move(done));
}

std::vector<Position> Replays::restored_positions(const StoredFilter& filter) const {
  return distributor_.restored_positions({own_filter(filter.text, filter.options)}, filter.since);
}

std::vector<Position> Replays::positions(Handle subscriber, std::string_view text) {
  const Replay* replay = find(subscriber, text);
  return replay ? distributor_.positions(replay->cursor) : std::vector<Position>{};
}

std::vector<sessions::ReplayPlace> Replays::places(Handle subscriber) {
  std::vector<sessions::ReplayPlace> all;
  const auto list = of_subscribers_.find(subscriber.index);
  if (list == of_subscribers_.end()) return all;
  for (const Replay& replay : list->second)
    if (replay.cursor.valid()) all.push_back({replay.text, distributor_.positions(replay.cursor)});
  return all;
}

Handle Replays::cursor_of(Handle subscriber, std::uint32_t mark) {
  const auto list = of_subscribers_.find(subscriber.index);
  if (mark == 0 || list == of_subscribers_.end()) return {};
  const auto found = std::ranges::find(list->second, mark, &Replay::mark);
  return found == list->second.end() ? Handle{} : found->cursor;
}

bool Replays::unsubscribe(Handle subscriber, std::string_view text) {
  const Replay* replay = find(subscriber, text);
  if (!replay) return false;
  distributor_.remove(replay->cursor);
  const auto list = of_subscribers_.find(subscriber.index);
  std::erase_if(list->second, [&](const Replay& one) { return one.text == text; });
  if (list->second.empty()) of_subscribers_.erase(list);
  return true;
}

void Replays::remove(Handle subscriber) {
  const auto list = of_subscribers_.extract(subscriber.index);
  if (!list) return;
  for (const Replay& replay : list.mapped()) distributor_.remove(replay.cursor);
}

void Replays::resume(Handle subscriber) {
  const auto list = of_subscribers_.find(subscriber.index);
  if (list == of_subscribers_.end()) return;
  // Each time another one is asked first: a client with little room takes from all in turn.
  std::ranges::rotate(list->second, list->second.begin() + 1);
  for (const Replay& replay : list->second) distributor_.resume(replay.cursor);
}

void Replays::describe(Handle subscriber, SubscriberState& state) {
  const auto list = of_subscribers_.find(subscriber.index);
  if (list == of_subscribers_.end()) return;
  for (const Replay& replay : list->second) {
    state.subscriptions.push_back({replay.text, replay.options});
    const SubscriberState cursor = distributor_.describe(replay.cursor);
    state.behind.insert(state.behind.end(), cursor.behind.begin(), cursor.behind.end());
    state.takes_no_more = state.takes_no_more || cursor.takes_no_more;
  }
}

}  // namespace sluice::hub
