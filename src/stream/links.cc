#include "stream/links.h"

#include <utility>

#include "base/assert.h"

namespace sluice::stream {

Links::Links(runtime::Mailboxes& mailboxes, ShardId self)
    : mailboxes_(mailboxes), self_(self), waiting_(mailboxes.shards()) {}

void Links::send(ShardId to, Task letter) {
  SLUICE_ASSERT(to != self_);
  auto& waiting = waiting_[to.value];
  if (waiting.empty() && mailboxes_.try_send(self_, to, letter)) return;
  waiting.push_back(std::move(letter));
  if (waiting.size() == 1) mailboxes_.on_room(self_, to, [this, to] { flush(to); });
}

void Links::flush(ShardId to) {
  auto& waiting = waiting_[to.value];
  while (!waiting.empty() && mailboxes_.try_send(self_, to, waiting.front())) waiting.pop_front();
  if (!waiting.empty()) mailboxes_.on_room(self_, to, [this, to] { flush(to); });
}

}  // namespace sluice::stream
