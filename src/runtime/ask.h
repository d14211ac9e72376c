#pragma once

#include <deque>
#include <vector>

#include "base/ids.h"
#include "base/task.h"
#include "runtime/mailbox.h"

namespace sluice::runtime {

using Request = std::move_only_function<void(Task reply)>;

// On shard `from`: runs `request` on `to`, now if that is the same shard, else as soon as the
// mailbox has room. `request` is given the task that must be run once, on `to`, so that `done` runs
// on `from`. What waits for room has no bound here: callers keep their own.
void ask(Mailboxes& mailboxes, ShardId from, ShardId to, Request request, Task done);

// The same for requests whose order matters: those of this shard to another one run in the order of
// the calls, also where some had to wait for room.
class OrderedAsks {
 public:
  OrderedAsks(Mailboxes& mailboxes, ShardId from)
      : mailboxes_(mailboxes), from_(from), waiting_(mailboxes.shards()) {}
  OrderedAsks(const OrderedAsks&) = delete;
  OrderedAsks& operator=(const OrderedAsks&) = delete;

  void ask(ShardId to, Request request, Task done);

 private:
  void send_waiting(ShardId to);
  void wait_for_room(ShardId to);

  Mailboxes& mailboxes_;
  const ShardId from_;
  std::vector<std::deque<Task>> waiting_;  // for room, by shard
};

}  // namespace sluice::runtime
