#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "stream/stream.h"

namespace sluice::stream {

class EmbeddedStream;

// Stream::wait_beyond. For partitions of other shards, the owner is asked once per partition to say
// when its end has moved (a watch), however many wait here; then all of them are run and look
// again.
class Waits {
 public:
  explicit Waits(EmbeddedStream& home) : home_(home) {}

  WaitId wait_beyond(Partition partition, Offset next, Task callback);
  void cancel(WaitId wait);

  // On the owner: the visible end of a partition is now `end`.
  void on_commit(Partition partition, Offset end);
  // The partition is gone: runs all that wait for it here.
  void forget(Partition partition);
  void drop(Partition partition) { watches_.erase(partition); }

 private:
  struct Wait {
    Partition partition;
    Offset next;
    Task callback;
  };
  struct Watch {
    ShardId reader;
    Offset next;
  };

  void ask_owner(ShardId owner, Partition partition, Offset next);
  void watch(Partition partition, ShardId reader, Offset next);
  void tell(Partition partition, ShardId reader);
  void run_waits(Partition partition, Offset end);

  EmbeddedStream& home_;
  std::uint64_t last_id_ = 0;
  std::unordered_map<WaitId, Wait> waits_;
  std::unordered_map<Partition, std::vector<WaitId>> of_partition_;
  std::unordered_map<Partition, Offset> asked_;  // of other owners: the lowest `next` asked for
  std::unordered_map<Partition, std::vector<Watch>> watches_;  // of other shards
};

}  // namespace sluice::stream
