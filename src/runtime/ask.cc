#include "runtime/ask.h"

#include <utility>

#include "base/assert.h"

namespace sluice::runtime {

void ask(Mailboxes& mailboxes, ShardId from, ShardId to, Request request, Task done) {
  if (from == to) return request(std::move(done));
  Task task = [&mailboxes, from, to, request = std::move(request),
               done = std::move(done)]() mutable {
    request([&mailboxes, from, to, done = std::move(done)]() mutable {
      mailboxes.answer(to, from, std::move(done));
    });
  };
  if (mailboxes.try_request(from, to, task)) return;
  mailboxes.on_room(from, to, [&mailboxes, from, to, task = std::move(task)]() mutable {
    const bool sent = mailboxes.try_request(from, to, task);
    SLUICE_ASSERT(sent);  // who is told has room
  });
}

}  // namespace sluice::runtime
