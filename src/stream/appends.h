#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "stream/stream.h"

namespace sluice::stream {

class EmbeddedStream;

// Appends to partitions of other shards, against a credit of bytes under way per pair of shards;
// and on the owner those that came from other shards while its log was full: they were promised a
// place, so they wait, in order.
class Appends {
 public:
  Appends(EmbeddedStream& home, std::uint32_t shards, std::uint64_t credit);

  // To a partition of the shard `owner`, another one than this.
  void append(ShardId owner, Partition partition, std::shared_ptr<Block> block,
              Done<Appended> done);
  [[nodiscard]] bool has_room(ShardId owner) const { return under_way_[owner.value] < credit_; }
  void on_room(ShardId owner, Task callback);

  // On the owner: appends as soon as the log has room; never answers busy.
  void append_when_room(Partition partition, std::shared_ptr<Block> block, Done<Appended> done);

 private:
  struct Waiting {
    Partition partition;
    std::shared_ptr<Block> block;
    Done<Appended> done;
  };

  void finish(ShardId owner, std::uint64_t size);
  void append_waiting();

  EmbeddedStream& home_;
  const std::uint64_t credit_;
  std::vector<std::uint64_t> under_way_;        // bytes, by owner
  std::vector<std::vector<Task>> room_wanted_;  // by owner
  std::deque<Waiting> waiting_;                 // at most the credit of all other shards
};

}  // namespace sluice::stream
