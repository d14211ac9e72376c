// Sweeps through the log, which serve those who lag: all of a partition together.
//
// A sweep begins at the lowest place where somebody waits who can take more, and ends where the
// tail was then. Step by step it reads a stretch of the log and hands it out to all who are aboard:
// who have not come further, and have not been passed by. Who can't take more, or comes to a place
// that the sweep has left behind, boards the next one: were the lowest place read first at each
// step, many slow ones would have the same records read and matched for each of them.
//
// While a sweep is a long one, a second one serves those who wait beyond its end, so that somebody
// who is behind for a moment does not wait for others that have been away for days.
//
// What a step costs depends on what it hands out, not on how many are aboard: places are worked out
// on demand (next_of), and all are only looked at when a sweep begins or has nothing to do.
#include <algorithm>
#include <utility>

#include "hub/distributor.h"
#include "hub/key_hints.h"

namespace sluice::hub {

namespace {

constexpr std::size_t read_size = 256 << 10;  // of the log, per step
constexpr runtime::Duration retry_delay = std::chrono::seconds(1);
// With more, those aboard want so much together that the whole log is read for them.
constexpr std::size_t cohort_filters_max = 1024;

}  // namespace

// --- who takes part

// One who lags has a new place, or can take more.
void Distributor::call(Source& source, Handle handle) {
  Lag::At* at = find_lag(source, handle);
  if (!at || !source.tailing || subscriptions_.find(handle)->lag->blocked || at->stopped()) return;
  if (!std::exchange(at->called, true)) source.called.push_back(handle);
  Sweep& first = source.sweeps.front();
  if (!std::exchange(first.running, true)) post_step(source, first);
}

// All who wait are looked at: whoever is at the tail again leaves the list, in one go, for they may
// be many.
void Distributor::begin_first(Source& source) {
  Sweep& sweep = source.sweeps.front();
  Offset lowest = source.next;
  source.called.clear();
  sweep.begin();
  std::erase_if(source.lagging, [&](Handle handle) {
    Lag::At* at = find_lag(source, handle);
    if (!at) return true;
    const Subscriber& subscriber = *subscriptions_.find(handle);
    if (sweep.has(*at)) leave(source, handle, subscriber, *at);
    at->called = false;
    if (at->sweep != 0 || subscriber.lag->blocked || at->stopped()) return false;
    if (at->next == source.next) {
      end_lag(source, handle);
      return true;
    }
    if (at->next > source.next) {
      source.ahead = std::min(source.ahead, at->next);  // reach() calls it
      return false;
    }
    lowest = std::min(lowest, at->next);
    board(sweep, handle, *at);
    return false;
  });
  source.gone = 0;
  sweep.close(lowest, source.next);
}

// Of those who have been called and are beyond the end of a long first one.
void Distributor::begin_second(Source& source) {
  const Sweep& first = source.sweeps.front();
  Sweep& sweep = source.sweeps.back();
  if (sweep.running || !first.running || first.steps < Sweep::long_after) return;
  Offset lowest = source.next;
  sweep.begin();
  std::erase_if(source.called, [&](Handle handle) {
    Lag::At* at = find_lag(source, handle);
    if (!at || at->next < first.end || at->next >= source.next) return false;
    at->called = false;
    lowest = std::min(lowest, at->next);
    board(sweep, handle, *at);
    return true;
  });
  sweep.close(lowest, source.next);
  if (sweep.running) post_step(source, sweep);
}

// Before a step: who has been called boards if the sweep has yet to come to its place, or is at the
// tail again. Who is beyond the end of the first one remains called.
void Distributor::board_called(Source& source, Sweep& sweep) {
  std::vector<std::uint32_t> at_tail;  // indexes of handles
  std::erase_if(source.called, [&](Handle handle) {
    Lag::At* at = find_lag(source, handle);
    if (!at) return true;
    const bool waits =
        at->sweep == 0 && !at->stopped() && !subscriptions_.find(handle)->lag->blocked;
    if (waits && sweep.comes_to(at->next))
      board(sweep, handle, *at);
    else if (waits && at->next == source.next)
      at_tail.push_back(handle.index);
    else if (waits && at->next >= source.sweeps.front().end)
      return false;
    at->called = false;
    return true;
  });
  if (at_tail.empty()) return;
  std::ranges::sort(at_tail);
  std::erase_if(source.lagging, [&](Handle handle) {
    if (!std::ranges::binary_search(at_tail, handle.index)) return false;
    end_lag(source, handle);
    return true;
  });
}

void Distributor::board(Sweep& sweep, Handle handle, Lag::At& at) {
  at.sweep = sweep.number;
  sweep.add(handle, at.stop);
}

// One who is aboard, and stays where it is.
void Distributor::leave(Source& source, Handle handle, const Subscriber& subscriber, Lag::At& at) {
  at.next = next_of(source, subscriber, at);
  if (source.sweeps[at.sweep - 1u].in_portions) subscriber.sink->on_portions_end();
  at.sweep = 0;
  if (at.stopped()) snapshots_.wake(handle);
}

// Leaves out who is not to be served now, and goes on at the lowest place of the others.
void Distributor::close_ranks(Source& source, Sweep& sweep) {
  Offset lowest = sweep.end;
  sweep.first_stop = Lag::no_stop;
  sweep.remove_if([&](Handle handle) {
    Lag::At* at = find_lag(source, handle);
    if (!at || !sweep.has(*at)) return true;
    const Subscriber& subscriber = *subscriptions_.find(handle);
    at->next = next_of(source, subscriber, *at);
    if (subscriber.lag->blocked || at->stopped()) {
      leave(source, handle, subscriber, *at);
      return true;
    }
    lowest = std::min(lowest, at->next);
    sweep.first_stop = std::min(sweep.first_stop, at->stop);
    return false;
  });
  sweep.swept = std::max(sweep.swept, lowest);
}

Lag::At* Distributor::find_lag(const Source& source, Handle handle) {
  const Subscriber* subscriber = subscriptions_.find(handle);
  return subscriber && subscriber->lag ? subscriber->lag->find(source.partition) : nullptr;
}

// --- its steps

void Distributor::post_step(const Source& source, const Sweep& sweep) {
  loop_.post([this, id = source.id(), number = sweep.number] { step(id, number); });
}

// Reads for all who are aboard.
void Distributor::step(SourceId id, std::uint8_t number) {
  if (subscriptions_.has_limits() && !keep_limits(id, number)) return;
  Source* source = find_same(id);
  if (!source) return;
  Sweep& sweep = source->sweeps[number - 1u];
  if (!goes_on(*source, sweep)) {
    end_sweep(*source, sweep);
    if (!sweep.running) return;
  }
  begin_second(*source);
  ++sweep.steps;
  sweep.read_end = source->next;
  renew_hint(*source, sweep);
  stream_.read(
      id.partition, sweep.swept, read_size, stream::Want::records, sweep.hint,
      [this, id, number](Result<stream::ReadAnswer> answer) { on_swept(id, number, answer); });
}

// False: it is through, or has nobody left.
bool Distributor::goes_on(Source& source, Sweep& sweep) {
  if (sweep.swept >= sweep.end) return false;
  board_called(source, sweep);
  sweep.in_portions = sweep.in_portions || sweep.members.size() >= Sweep::many;
  // All are only looked at while they are few, or when the sweep seems to run for nobody.
  if (sweep.idle || sweep.members.size() <= cohort_filters_max || sweep.swept >= sweep.first_stop)
    close_ranks(source, sweep);
  return sweep.swept < sweep.end;
}

// Another one begins if there is anybody for it.
void Distributor::end_sweep(Source& source, Sweep& sweep) {
  if (sweep.number == source.sweeps.front().number) return begin_first(source);
  for (const Handle handle : sweep.members) {
    Lag::At* at = find_lag(source, handle);
    if (!at || !sweep.has(*at)) continue;
    leave(source, handle, *subscriptions_.find(handle), *at);
    call(source, handle);
  }
  sweep.members.clear();
  sweep.running = false;
}

void Distributor::renew_hint(const Source& source, Sweep& sweep) {
  const std::uint64_t filters = subscriptions_.generation();
  const std::uint64_t catalogue = stream_.catalogue().generation();
  if (!sweep.needs_hint(filters, catalogue)) return;
  sweep.hint = nullptr;
  const auto* stream = stream_.catalogue().find(source.partition.stream);
  if (!stream_.caps().key_index || !stream) return;
  KeyHints hints(source.prefix);
  std::size_t count = 0;
  for (const Handle handle : sweep.members) {
    const Subscriber* subscriber = subscriptions_.find(handle);
    if (!subscriber) continue;
    for (const Filter& filter : subscriber->filters) {
      if (!covers(filter, *stream)) continue;
      if (!hints.add(filter.text) || ++count > cohort_filters_max) return;
    }
  }
  sweep.hint = hints.finish();
}

void Distributor::on_swept(SourceId id, std::uint8_t number,
                           const Result<stream::ReadAnswer>& answer) {
  Source* source = find_same(id);
  if (!source) return;
  if (!answer) {
    const auto again = [this, id, number] { step(id, number); };
    if (answer.error().code == Errc::out_of_range) return skip_lost(id, again);
    loop_.run_after(retry_delay, again);
    return;
  }
  Sweep* sweep = &source->sweeps[number - 1u];
  sweep->idle = true;
  for (const auto& block : answer->blocks) {
    if (block->from() >= sweep->read_end) break;  // the tail was there: it is read again
    hand_out(*source, block, sweep);
    if (source = find_same(id); !source) return;
    sweep->swept = std::max(sweep->swept, block->until());
  }
  // Beyond what was read there is nothing that anybody aboard wants, up to answer->next.
  const bool nothing = answer->blocks.empty() && answer->next <= sweep->swept;
  const Offset end = sweep->read_end;
  sweep->swept = std::max(sweep->swept, nothing ? end : std::min(answer->next, end));
  post_step(*source, *sweep);
}

}  // namespace sluice::hub
