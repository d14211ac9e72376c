#include "stream/appends.h"

#include <utility>

#include "stream/embedded_stream.h"

namespace sluice::stream {

Appends::Appends(EmbeddedStream& home, std::uint32_t shards, std::uint64_t credit)
    : home_(home), credit_(credit), under_way_(shards, 0), room_wanted_(shards) {}

void Appends::append(ShardId owner, Partition partition, std::shared_ptr<Block> block,
                     Done<Appended> done) {
  if (!has_room(owner)) {
    return done(fail(Errc::busy, "{} bytes are on their way to shard {}", under_way_[owner.value],
                     owner.value));
  }
  const auto size = block->footprint();
  under_way_[owner.value] += size;
  home_.request<Appended>(
      owner,
      [partition, block = std::move(block)](EmbeddedStream& there, Done<Appended> answer) mutable {
        there.appends().append_when_room(partition, std::move(block), std::move(answer));
      },
      [this, owner, size, done = std::move(done)](Result<Appended> appended) mutable {
        done(std::move(appended));
        finish(owner, size);
      });
}

void Appends::on_room(ShardId owner, Task callback) {
  if (has_room(owner)) return callback();
  room_wanted_[owner.value].push_back(std::move(callback));
}

void Appends::finish(ShardId owner, std::uint64_t size) {
  under_way_[owner.value] -= size;
  if (!has_room(owner)) return;
  for (auto& callback : std::exchange(room_wanted_[owner.value], {})) callback();
}

void Appends::append_when_room(Partition partition, std::shared_ptr<Block> block,
                               Done<Appended> done) {
  waiting_.push_back({partition, std::move(block), std::move(done)});
  if (waiting_.size() == 1) append_waiting();  // else on_room does
}

// A log that cannot be written at all refuses, with the reason.
void Appends::append_waiting() {
  auto& log = home_.log();
  while (!waiting_.empty()) {
    if (!log.has_room() && log.health().writable) {
      return log.on_room([this] { append_waiting(); });
    }
    auto next = std::move(waiting_.front());
    waiting_.pop_front();
    log.append(next.partition, std::move(next.block), std::move(next.done));
  }
}

}  // namespace sluice::stream
