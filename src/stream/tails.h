#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/metrics.h"
#include "stream/stream.h"

namespace sluice::stream {

class EmbeddedStream;

// Who follows the ends of partitions: this shard's own sinks (for partitions of any owner), and the
// other shards that follow partitions of this one.
//
// Credit: the owner may have `credit` bytes of blocks under way to each other shard; the reader
// gives back what its sinks have taken. Without credit the owner ends the tail (on_behind), so it
// never waits for a slow shard and never queues for it.
class Tails {
 public:
  Tails(EmbeddedStream& home, std::uint32_t shards, std::int64_t credit, Metrics& metrics);

  void tail(Partition partition, TailSink& sink, Done<Offset> done);
  void untail(Partition partition);
  // The sink's partition is going; the sink hears no more of it.
  void forget(Partition partition) { own_.erase(partition); }

  // On the owner: hands a block that became visible to all that follow.
  void on_commit(Partition partition, const std::shared_ptr<Block>& block);
  void drop(Partition partition) { feeds_.erase(partition); }

 private:
  struct Own {
    TailSink* sink;
    // Tells a tail from an earlier one of the same partition, whose letters are still on their way.
    std::uint64_t id;
    // On the owner only: an earlier block of the commit that is being told is not for this tail.
    Offset next;
  };
  struct Feed {
    ShardId reader;
    std::uint64_t id;
    Offset next;
  };

  Result<Offset> add_feed(Partition partition, ShardId reader, std::uint64_t id);
  void remove_feed(Partition partition, ShardId reader, std::uint64_t id);
  void feed_peers(Partition partition, const BlockRef& block);
  bool feed(Partition partition, Feed& feed, const BlockRef& block);
  void feed_own(Partition partition, const BlockRef& block);

  void take_answer(Partition partition, std::uint64_t id, Result<Offset> answer,
                   Done<Offset>& done);
  void take_block(Partition partition, ShardId owner, std::uint64_t id, const BlockRef& block);
  void take_behind(Partition partition, std::uint64_t id, Offset at);
  void give_back(ShardId owner, std::int64_t bytes);
  [[nodiscard]] TailSink* find_own(Partition partition, std::uint64_t id) const;

  EmbeddedStream& home_;
  const std::int64_t credit_;
  Counter& behind_;
  std::uint64_t last_id_ = 0;
  std::unordered_map<Partition, Own> own_;
  std::unordered_map<Partition, std::vector<Feed>> feeds_;
  std::vector<std::int64_t> credit_of_;  // by reading shard; below 0 by at most one block
  std::vector<std::int64_t> taken_;      // by owner: consumed here, not yet given back
};

}  // namespace sluice::stream
