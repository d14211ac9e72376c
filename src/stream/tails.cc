#include "stream/tails.h"

#include <utility>

#include "base/assert.h"
#include "stream/embedded_stream.h"

namespace sluice::stream {
namespace {

std::int64_t cost(const Block& block) { return static_cast<std::int64_t>(block.bytes().size()); }

}  // namespace

Tails::Tails(EmbeddedStream& home, std::uint32_t shards, std::int64_t credit, Metrics& metrics)
    : home_(home),
      credit_(credit),
      behind_(metrics.counter("sluice_stream_tails_behind_total",
                              "Tails that were ended because a shard did not keep up")),
      credit_of_(shards, credit),
      taken_(shards, 0) {}

void Tails::tail(Partition partition, TailSink& sink, Done<Offset> done) {
  const auto id = ++last_id_;
  const auto owner = home_.owner_of(partition);
  if (owner == home_.shard()) {
    const auto bounds = home_.log().bounds(partition);
    if (!bounds) return done(std::unexpected(bounds.error()));
    const bool is_new = own_.try_emplace(partition, &sink, id, bounds->visible_end).second;
    SLUICE_ASSERT(is_new);
    return done(bounds->visible_end);
  }
  const bool is_new = own_.try_emplace(partition, &sink, id, Offset{}).second;
  SLUICE_ASSERT(is_new);
  home_.ask<Offset>(
      owner,
      [partition, reader = home_.shard(), id](EmbeddedStream& there, Done<Offset> answer) {
        answer(there.tails().add_feed(partition, reader, id));
      },
      [this, partition, id, done = std::move(done)](Result<Offset> answer) mutable {
        take_answer(partition, id, std::move(answer), done);
      });
}

void Tails::untail(Partition partition) {
  const auto own = own_.find(partition);
  if (own == own_.end()) return;
  const auto id = own->second.id;
  own_.erase(own);
  const auto owner = home_.owner_of(partition);
  if (owner == home_.shard()) return;
  home_.send(owner, [partition, reader = home_.shard(), id](EmbeddedStream& there) {
    there.tails().remove_feed(partition, reader, id);
  });
}

void Tails::on_commit(Partition partition, const std::shared_ptr<Block>& block) {
  const bool fed = feeds_.contains(partition);
  if (!fed && !own_.contains(partition)) return;
  home_.index(*block);
  if (fed) feed_peers(partition, block);
  feed_own(partition, block);
}

// --- on the owner

Result<Offset> Tails::add_feed(Partition partition, ShardId reader, std::uint64_t id) {
  SLUICE_TRY_ASSIGN(const auto bounds, home_.log().bounds(partition));
  feeds_[partition].push_back({reader, id, bounds.visible_end});
  return bounds.visible_end;
}

void Tails::remove_feed(Partition partition, ShardId reader, std::uint64_t id) {
  const auto feeds = feeds_.find(partition);
  if (feeds == feeds_.end()) return;
  std::erase_if(feeds->second,
                [&](const Feed& feed) { return feed.reader == reader && feed.id == id; });
  if (feeds->second.empty()) feeds_.erase(feeds);
}

void Tails::feed_peers(Partition partition, const BlockRef& block) {
  auto& feeds = feeds_.at(partition);
  std::erase_if(feeds, [&](Feed& to) { return !feed(partition, to, block); });
  if (feeds.empty()) feeds_.erase(partition);
}

// False: the reader's shard has no credit left, and is told where its tail ended.
bool Tails::feed(Partition partition, Feed& feed, const BlockRef& block) {
  if (block->until() <= feed.next) return true;
  auto& credit = credit_of_[feed.reader.value];
  if (credit <= 0) {
    behind_.add();
    home_.send(feed.reader, [partition, id = feed.id, at = feed.next](EmbeddedStream& there) {
      there.tails().take_behind(partition, id, at);
    });
    return false;
  }
  credit -= cost(*block);
  feed.next = block->until();
  home_.send(feed.reader,
             [partition, owner = home_.shard(), id = feed.id, block](EmbeddedStream& there) {
               there.tails().take_block(partition, owner, id, block);
             });
  return true;
}

// The sink may call anything, untail() too: nothing is touched after it.
void Tails::feed_own(Partition partition, const BlockRef& block) {
  const auto own = own_.find(partition);
  if (own == own_.end() || block->until() <= own->second.next) return;
  own->second.next = block->until();
  own->second.sink->on_block(partition, block);
}

// --- on the reader

TailSink* Tails::find_own(Partition partition, std::uint64_t id) const {
  const auto own = own_.find(partition);
  return own == own_.end() || own->second.id != id ? nullptr : own->second.sink;
}

void Tails::take_answer(Partition partition, std::uint64_t id, Result<Offset> answer,
                        Done<Offset>& done) {
  if (find_own(partition, id) == nullptr) {
    return done(fail(Errc::closed, "the tail was given up before it began"));
  }
  if (!answer) own_.erase(partition);
  done(std::move(answer));
}

void Tails::take_block(Partition partition, ShardId owner, std::uint64_t id,
                       const BlockRef& block) {
  if (auto* const sink = find_own(partition, id)) sink->on_block(partition, block);
  give_back(owner, cost(*block));
}

void Tails::take_behind(Partition partition, std::uint64_t id, Offset at) {
  auto* const sink = find_own(partition, id);
  if (sink == nullptr) return;
  own_.erase(partition);
  sink->on_behind(partition, at);
}

// In portions, so that a letter goes back for many blocks. What is kept is less than an eighth of
// the credit.
void Tails::give_back(ShardId owner, std::int64_t bytes) {
  auto& taken = taken_[owner.value];
  taken += bytes;
  if (taken < credit_ / 8) return;
  home_.send(owner,
             [reader = home_.shard(), bytes = std::exchange(taken, 0)](EmbeddedStream& there) {
               there.tails().credit_of_[reader.value] += bytes;
             });
}

}  // namespace sluice::stream
