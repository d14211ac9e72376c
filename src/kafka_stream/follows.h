#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "kafka_stream/reader_pool.h"
#include "kafka_stream/tail_reader.h"
#include "runtime/loop.h"
#include "stream/stream.h"

namespace sluice::kafka_stream {

// Where what comes from the end of a partition is told to a shard that asked for it. Called on the
// partition's home; an implementation takes it to the reader's own shard, keeping the order.
class FollowTarget {
 public:
  virtual void on_follow_answer(Partition partition, std::uint64_t tail, Offset next) = 0;
  virtual void on_follow_block(Partition partition, std::uint64_t tail,
                               const DeliveryRef& delivery) = 0;
  virtual void on_follow_end(Partition partition, Offset end) = 0;  // for waits

 protected:
  ~FollowTarget() = default;
};

// The ends of the partitions whose home is this shard: reads each of them once for the whole hub
// while anybody wants it, and tells, in this order: the fold, tails, waits, and answers to appends
// that the fold must know of.
//
// librdkafka may cease to fetch a partition and say nothing. So a follow that has brought nothing
// for some seconds is compared with what the cluster holds, and begun again if that is more.
//
// Shard: the home's; all calls and callbacks there.
class Follows {
 public:
  struct Parts {
    runtime::Loop* loop;
    ReaderPool* readers;
    TailReader* tails;
    const stream::Catalogue* catalogue;
    ShardId shard;
    std::uint32_t shards;
  };
  explicit Follows(const Parts& parts) : parts_(parts), last_id_(parts.shard.value) {}

  // The shard on which a follow of this number is at home.
  static ShardId home_of(std::uint64_t follow, std::uint32_t shards) {
    return {static_cast<std::uint32_t>(follow % shards)};
  }

  // `tail` is the reader's number for it.
  void add_tail(Partition partition, const Place& place, FollowTarget& reader, std::uint64_t tail);
  void remove_tail(Partition partition, const FollowTarget& reader, std::uint64_t tail);
  // Tells on_follow_end once when the end is beyond `next`.
  void watch(Partition partition, const Place& place, FollowTarget& reader, Offset next);
  void fold(Partition partition, const Place& place, log::CommitSink& sink, Done<Offset> done);
  // Runs `task` once the fold of the partition, if there is one, has seen `last`.
  void after_fold(Partition partition, Offset last, Task task);
  void forget(Partition partition);

  void on_delivery(std::uint64_t follow, const DeliveryRef& delivery);

 private:
  struct Tail {
    FollowTarget* reader;
    std::uint64_t id;
  };
  struct Watch {
    FollowTarget* reader;
    Offset next;
  };
  struct Fold {
    log::CommitSink* sink;
    Done<Offset> done;  // until it is answered
  };
  struct Follow {
    std::uint64_t id = 0;
    Place place;
    bool started = false;
    std::uint32_t tries = 0;  // to start, that failed
    Offset next;              // while started: what comes from the tail reader goes on here
    std::vector<Tail> tails;
    std::vector<Watch> watches;
    std::optional<Fold> fold;
    std::multimap<Offset, Task> held;  // by the last offset that the fold must have seen
    Offset next_at_check{-1};
    Offset nothing_until;  // from `next` on there is nothing to be read
  };

  Follow& follow(Partition partition, const Place& place);
  Follow* find(Partition partition, std::uint64_t id);
  void start(Partition partition, std::uint64_t id);
  void on_end_known(Partition partition, std::uint64_t id, const Result<stream::Bounds>& bounds);
  void check_idle();
  void compare(Partition partition, std::uint64_t id, const Result<stream::Bounds>& bounds);
  void begin_again(Partition partition, const Result<stream::ReadAnswer>& missed, Offset end);
  void tell_watches(Partition partition, std::uint64_t id);
  void release_held(Partition partition, std::uint64_t id);
  void end_if_unused(Partition partition);

  const Parts parts_;
  std::uint64_t last_id_;  // of a follow; this shard's numbers leave its own as a remainder
  std::unordered_map<Partition, Follow> follows_;
  std::map<std::uint64_t, Partition> by_id_;
  std::uint64_t last_checked_ = 0;
  bool checking_ = false;
};

}  // namespace sluice::kafka_stream
