#include "runtime/ask.h"

#include <utility>

#include "base/assert.h"

namespace sluice::runtime {

namespace {

// What runs on `to`; `done` comes back to `from`.
Task letter(Mailboxes& mailboxes, ShardId from, ShardId to, Request request, Task done) {
  return [&mailboxes, from, to, request = std::move(request), done = std::move(done)]() mutable {
    request([&mailboxes, from, to, done = std::move(done)]() mutable {
      mailboxes.answer(to, from, std::move(done));
    });
  };
}

}  // namespace

void ask(Mailboxes& mailboxes, ShardId from, ShardId to, Request request, Task done) {
  if (from == to) return request(std::move(done));
  Task task = letter(mailboxes, from, to, std::move(request), std::move(done));
  if (mailboxes.try_request(from, to, task)) return;
  mailboxes.on_room(from, to, [&mailboxes, from, to, task = std::move(task)]() mutable {
    const bool sent = mailboxes.try_request(from, to, task);
    SLUICE_ASSERT(sent);  // who is told has room
  });
}

void OrderedAsks::ask(ShardId to, Request request, Task done) {
  if (from_ == to) return request(std::move(done));
  Task task = letter(mailboxes_, from_, to, std::move(request), std::move(done));
  auto& waiting = waiting_[to.value];
  if (waiting.empty() && mailboxes_.try_request(from_, to, task)) return;
  waiting.push_back(std::move(task));
  if (waiting.size() == 1) wait_for_room(to);
}

void OrderedAsks::wait_for_room(ShardId to) {
  mailboxes_.on_room(from_, to, [this, to] { send_waiting(to); });
}

void OrderedAsks::send_waiting(ShardId to) {
  auto& waiting = waiting_[to.value];
  while (!waiting.empty() && mailboxes_.try_request(from_, to, waiting.front()))
    waiting.pop_front();
  if (!waiting.empty()) wait_for_room(to);
}

}  // namespace sluice::runtime
