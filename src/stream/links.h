#pragma once

#include <deque>
#include <vector>

#include "base/ids.h"
#include "base/task.h"
#include "runtime/mailbox.h"

namespace sluice::stream {

// One shard's letters to the others, first in, first out per target.
//
// Sending neither fails nor waits: what finds no place in the mailbox waits here, and goes before
// all that is sent later. So the order holds for letters of all kinds: a tail's answer cannot be
// overtaken by its blocks, nor blocks by the acknowledgement of their append. There is no bound
// here because each kind of letter has its own: a credit of bytes (appends, blocks of tails), a
// number of requests under way, one per partition (wake-ups).
class Links {
 public:
  Links(runtime::Mailboxes& mailboxes, ShardId self);

  // Runs `letter` on shard `to`, another one than this.
  void send(ShardId to, Task letter);

 private:
  void flush(ShardId to);

  runtime::Mailboxes& mailboxes_;
  const ShardId self_;
  std::vector<std::deque<Task>> waiting_;  // by target
};

}  // namespace sluice::stream
