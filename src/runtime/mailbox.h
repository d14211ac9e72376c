#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/ids.h"
#include "base/task.h"
#include "runtime/loop.h"

namespace sluice::runtime {

// The mailboxes between the shards of a hub: one first-in-first-out ring per ordered pair of
// shards, written by one thread and read by one. Messages are tasks, each a batch or a request,
// never a single record.
//
// Wake-up: what a shard posts in a turn is handed over at the end of that turn, with at most one
// wake per target, and only if the target sleeps. Bound: a ring has `capacity` places for requests
// and sends, and as many that only answers may take. A request needs a place in the ring and an
// answer place in the opposite one, so answers always fit. When none is free, try_request says so
// and the caller keeps its work (and stops reading from whoever feeds it) until on_room; nobody
// ever waits on posting.
class Mailboxes {
 public:
  // `loops[i]` is the loop of shard i. Create before the loops run, destroy after they have stopped
  // and before they are destroyed. Messages that were not delivered by then are dropped.
  explicit Mailboxes(std::vector<Loop*> loops, std::size_t capacity = 1024);
  ~Mailboxes();
  Mailboxes(const Mailboxes&) = delete;
  Mailboxes& operator=(const Mailboxes&) = delete;

  [[nodiscard]] std::uint32_t shards() const;

  // On shard `from`: runs `request` on shard `to`. It must answer exactly once, by answer(to, from,
  // ...), which gives the places back. False: no room, `request` is untouched.
  [[nodiscard]] bool try_request(ShardId from, ShardId to, Task& request);
  // On shard `from`: runs `task` on `to` in a place that an earlier request of `to` reserved.
  // Cannot fail.
  void answer(ShardId from, ShardId to, Task task);
  // On shard `from`: a message without an answer, against credit that the receiver has given by
  // other means (tail blocks). False: no room.
  [[nodiscard]] bool try_send(ShardId from, ShardId to, Task& task);
  // `callback` runs once on shard `from`, in a later turn, when there is room towards `to` (for a
  // request) again.
  void on_room(ShardId from, ShardId to, Task callback);

 private:
  class Ring;
  class Outbox;

  [[nodiscard]] Ring& ring(ShardId from, ShardId to);
  void stage(ShardId from, ShardId to, Task task, bool is_answer);
  void hand_over(Ring& ring);
  void drain(Ring& ring);
  void offer_room(Ring& ring);

  std::vector<Loop*> loops_;
  std::vector<std::unique_ptr<Ring>> rings_;       // from * shards + to
  std::vector<std::unique_ptr<Outbox>> outboxes_;  // one per shard
};

}  // namespace sluice::runtime
