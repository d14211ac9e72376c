#include "kafka_stream/follows.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/assert.h"
#include "base/logger.h"

namespace sluice::kafka_stream {
namespace {

constexpr Logger logger("kafka_cluster");

constexpr auto retry_delay = std::chrono::milliseconds(500);
constexpr auto check_interval = std::chrono::seconds(2);
constexpr std::size_t checks_at_once = 64;
constexpr std::uint32_t told_after = 8;  // tries; then each time their number has doubled

}  // namespace

Follows::Follow& Follows::follow(Partition partition, const Place& place) {
  const auto [at, added] = follows_.try_emplace(partition);
  if (added) {
    last_id_ += parts_.shards;
    at->second.id = last_id_;
    at->second.place = place;
    by_id_.emplace(last_id_, partition);
    start(partition, last_id_);
    if (!std::exchange(checking_, true))
      parts_.loop->run_after(check_interval, [this] { check_idle(); });
  }
  return at->second;
}

Follows::Follow* Follows::find(Partition partition, std::uint64_t id) {
  const auto found = follows_.find(partition);
  return found == follows_.end() || found->second.id != id ? nullptr : &found->second;
}

// Asks for the end, again and again while the cluster does not answer: those who wait have time.
void Follows::start(Partition partition, std::uint64_t id) {
  const Follow* const follow = find(partition, id);
  if (follow == nullptr) return;
  parts_.readers->bounds(follow->place, [this, partition, id](Result<stream::Bounds> bounds) {
    parts_.loop->post_from_outside(
        [this, partition, id, bounds = std::move(bounds)] { on_end_known(partition, id, bounds); });
  });
}

void Follows::on_end_known(Partition partition, std::uint64_t id,
                           const Result<stream::Bounds>& bounds) {
  Follow* follow = find(partition, id);
  if (follow == nullptr) return;
  if (!bounds) {
    // A reader may hear a moment later than we that the stream was removed, and ask in between.
    const bool gone = parts_.catalogue->find(partition.stream) == nullptr;
    if (gone && bounds.error().code == Errc::not_found) return forget(partition);
    if (++follow->tries >= told_after && std::has_single_bit(follow->tries))
      logger.warn("the cluster does not tell the end of a partition: nothing is read of it yet",
                  {{"partition", to_string(follow->place)},
                   {"tries", follow->tries},
                   {"reason", bounds.error().text}});
    parts_.loop->run_after(retry_delay, [this, partition, id] { start(partition, id); });
    return;
  }
  const Offset end = bounds->visible_end;
  follow->started = true;
  follow->next = end;
  parts_.tails->start(follow->place, id, end);
  if (follow->fold && follow->fold->done) std::exchange(follow->fold->done, nullptr)(end);
  follow = find(partition, id);
  if (follow == nullptr) return;
  for (const Tail& tail : std::vector(follow->tails))
    tail.reader->on_follow_answer(partition, tail.id, end);
  tell_watches(partition, id);
  release_held(partition, id);
}

// In turn, so many at a time that idle partitions cost little.
void Follows::check_idle() {
  checking_ = !follows_.empty();
  if (!checking_) return;
  parts_.loop->run_after(check_interval, [this] { check_idle(); });
  if (parts_.tails->is_full()) return;  // a block may wait there
  std::size_t asked = 0;
  for (std::size_t left = by_id_.size(); left > 0 && asked < checks_at_once; --left) {
    auto at = by_id_.upper_bound(last_checked_);
    if (at == by_id_.end()) at = by_id_.begin();
    const auto [id, partition] = *at;
    last_checked_ = id;
    Follow& follow = *find(partition, id);
    if (!follow.started || std::exchange(follow.next_at_check, follow.next) != follow.next)
      continue;
    ++asked;
    parts_.readers->bounds(follow.place, [this, partition, id](Result<stream::Bounds> bounds) {
      parts_.loop->post_from_outside(
          [this, partition, id, bounds = std::move(bounds)] { compare(partition, id, bounds); });
    });
  }
}

void Follows::compare(Partition partition, std::uint64_t id, const Result<stream::Bounds>& bounds) {
  const Follow* const follow = find(partition, id);
  if (follow == nullptr || !bounds || follow->next != follow->next_at_check) return;
  const Offset end = bounds->visible_end;
  if (end <= std::max(follow->next, follow->nothing_until)) return;
  // The end of a transaction has an offset and is never read. So only a reader can tell.
  const auto answered = [this, partition, id, end](Result<stream::ReadAnswer> answer) {
    parts_.loop->post_from_outside([this, partition, id, end, answer = std::move(answer)] {
      if (find(partition, id) != nullptr) begin_again(partition, answer, end);
    });
  };
  parts_.readers->read(follow->place, follow->next, 1, answered);
}

void Follows::begin_again(Partition partition, const Result<stream::ReadAnswer>& missed,
                          Offset end) {
  Follow& follow = follows_.at(partition);
  if (!missed || follow.next != follow.next_at_check) return;
  if (missed->blocks.empty()) {
    follow.nothing_until = end;
    return;
  }
  logger.warn(
      "the end of a partition stood still and is read again",
      {{"partition", to_string(follow.place)}, {"next", follow.next.value}, {"end", end.value}});
  by_id_.erase(follow.id);
  last_id_ += parts_.shards;
  follow.id = last_id_;
  by_id_.emplace(last_id_, partition);
  parts_.tails->start(follow.place, follow.id, follow.next);
}

void Follows::add_tail(Partition partition, const Place& place, FollowTarget& reader,
                       std::uint64_t tail) {
  Follow& it = follow(partition, place);
  it.tails.push_back({&reader, tail});
  if (it.started) reader.on_follow_answer(partition, tail, it.next);
}

void Follows::remove_tail(Partition partition, const FollowTarget& reader, std::uint64_t tail) {
  const auto found = follows_.find(partition);
  if (found == follows_.end()) return;
  std::erase_if(found->second.tails,
                [&](const Tail& it) { return it.reader == &reader && it.id == tail; });
  end_if_unused(partition);
}

void Follows::watch(Partition partition, const Place& place, FollowTarget& reader, Offset next) {
  Follow& it = follow(partition, place);
  it.watches.push_back({&reader, next});
  if (it.started) tell_watches(partition, it.id);
}

void Follows::fold(Partition partition, const Place& place, log::CommitSink& sink,
                   Done<Offset> done) {
  Follow& it = follow(partition, place);
  SLUICE_ASSERT(!it.fold);
  it.fold.emplace(&sink, nullptr);
  if (it.started) return done(it.next);
  it.fold->done = std::move(done);
}

void Follows::after_fold(Partition partition, Offset last, Task task) {
  const auto found = follows_.find(partition);
  if (found == follows_.end() || !found->second.fold ||
      (found->second.started && last < found->second.next))
    return task();
  found->second.held.emplace(last, std::move(task));
}

void Follows::forget(Partition partition) {
  const auto found = follows_.find(partition);
  if (found == follows_.end()) return;
  parts_.tails->stop(found->second.place, found->second.id);
  by_id_.erase(found->second.id);
  follows_.erase(found);
}

void Follows::end_if_unused(Partition partition) {
  const auto found = follows_.find(partition);
  if (found == follows_.end()) return;
  const Follow& it = found->second;
  if (it.tails.empty() && it.watches.empty() && !it.fold) forget(partition);
}

void Follows::on_delivery(std::uint64_t id, const DeliveryRef& delivery) {
  const auto known = by_id_.find(id);
  if (known == by_id_.end()) return;  // given up meanwhile
  const Partition partition = known->second;
  Follow* follow = find(partition, id);
  follow->next = delivery->block()->until();
  const std::vector<Tail> tails = follow->tails;
  if (follow->fold) follow->fold->sink->on_commit(partition, delivery->block());
  for (const Tail& tail : tails) tail.reader->on_follow_block(partition, tail.id, delivery);
  tell_watches(partition, id);
  release_held(partition, id);
}

void Follows::tell_watches(Partition partition, std::uint64_t id) {
  Follow* const follow = find(partition, id);
  if (follow == nullptr) return;
  const Offset end = follow->next;
  std::vector<FollowTarget*> told;
  std::erase_if(follow->watches, [&](const Watch& watch) {
    if (watch.next >= end) return false;
    if (std::ranges::find(told, watch.reader) == told.end()) told.push_back(watch.reader);
    return true;
  });
  for (FollowTarget* const reader : told) reader->on_follow_end(partition, end);
  end_if_unused(partition);
}

void Follows::release_held(Partition partition, std::uint64_t id) {
  while (Follow* const follow = find(partition, id)) {
    if (follow->held.empty() || follow->held.begin()->first >= follow->next) return;
    Task task = std::move(follow->held.begin()->second);
    follow->held.erase(follow->held.begin());
    task();
  }
}

}  // namespace sluice::kafka_stream
