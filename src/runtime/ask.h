#pragma once

#include "base/ids.h"
#include "base/task.h"
#include "runtime/mailbox.h"

namespace sluice::runtime {

using Request = std::move_only_function<void(Task reply)>;

// On shard `from`: runs `request` on `to`, now if that is the same shard, else as soon as the
// mailbox has room. `request` is given the task that must be run once, on `to`, so that `done` runs
// on `from`. What waits for room has no bound here: callers keep their own.
void ask(Mailboxes& mailboxes, ShardId from, ShardId to, Request request, Task done);

}  // namespace sluice::runtime
