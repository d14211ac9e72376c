#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/metrics.h"
#include "kafka_stream/append_queue.h"
#include "kafka_stream/follows.h"
#include "kafka_stream/producer.h"
#include "kafka_stream/reader_pool.h"
#include "kafka_stream/registry.h"
#include "kafka_stream/tail_reader.h"
#include "runtime/loop.h"
#include "stream/stream.h"

namespace sluice::kafka_stream {

// What the shards share.
struct Cluster {
  std::unique_ptr<Producer> producer;
  std::unique_ptr<ReaderPool> readers;
  std::unique_ptr<TailReader> tails;
  std::unique_ptr<Registry> registry;
};

// One shard of the backend. Nothing here blocks: requests go to the helper threads of `Cluster`,
// and their answers come home by Loop::post_from_outside. Shards talk to each other the same way;
// what may be under way is bounded by the readers' requests, the producer's buffer and the tails'
// credit.
class KafkaStream final : public stream::Stream, public FollowTarget {
 public:
  using Shards = std::vector<std::unique_ptr<KafkaStream>>;

  // `shards` and `cluster` are complete before the loops run.
  KafkaStream(const Shards& shards, Cluster& cluster, ShardId shard, std::uint32_t count,
              runtime::Loop& loop, Metrics& metrics);

  // --- Stream
  [[nodiscard]] stream::Caps caps() const override { return {}; }
  [[nodiscard]] const stream::Catalogue& catalogue() const override { return catalogue_; }
  void watch_catalogue(stream::CatalogueSink& sink) override { sinks_.push_back(&sink); }
  void create(std::string name, stream::StreamConfig config,
              Done<stream::StreamInfo> done) override;
  void remove(std::string name, Done<void> done) override;
  void alter(std::string name, stream::StreamConfig config, Done<stream::StreamInfo> done) override;
  [[nodiscard]] ShardId home(Partition partition) const override;
  void append(Partition partition, std::shared_ptr<log::Block> block,
              Done<stream::Appended> done) override;
  [[nodiscard]] bool has_room(Partition partition) const override;
  void on_room(Partition partition, Task callback) override;
  void bounds(Partition partition, Done<stream::Bounds> done) override;
  void resolve(Partition partition, stream::Start start, WallMs when,
               Done<stream::Resolved> done) override;
  // Nobody there knows how many bytes lie between two offsets.
  void resolve_newest(Partition partition, std::uint64_t bytes, Done<Offset> done) override;
  using Stream::read;
  void read(Partition partition, Offset from, std::size_t bytes_max, stream::Want want,
            stream::KeyHintRef hint, Done<stream::ReadAnswer> done) override;
  void tail(Partition partition, stream::TailSink& sink, Done<Offset> done) override;
  void untail(Partition partition) override;
  void delete_records(Partition partition, Offset before, Done<Offset> done) override;
  // The cluster deletes by itself; nobody can hold it back from here.
  void hold(Partition /*partition*/, Offset /*from*/) override {}
  void fold(Partition partition, log::CommitSink& sink, Done<Offset> done) override;
  stream::WaitId wait_beyond(Partition partition, Offset next, Task callback) override;
  void cancel(stream::WaitId wait) override { waits_.erase(wait); }

  // --- FollowTarget: on the partition's home, not here
  void on_follow_answer(Partition partition, std::uint64_t tail, Offset next) override;
  void on_follow_block(Partition partition, std::uint64_t tail,
                       const DeliveryRef& delivery) override;
  void on_follow_end(Partition partition, Offset end) override;

  // --- for the backend; from any thread
  void deliver(std::uint64_t follow, DeliveryRef delivery);
  void apply(std::shared_ptr<const Change> change, Task done);
  void room_again();

  // --- here
  // Why publishers wait; empty when they don't.
  [[nodiscard]] std::string trouble() const;

 private:
  struct Tail {
    stream::TailSink* sink = nullptr;
    std::uint64_t id = 0;
    Done<Offset> done;  // until it is answered
  };
  struct Wait {
    Partition partition;
    Offset next;
    Task callback;
  };

  [[nodiscard]] const stream::StreamInfo* find(Partition partition) const;
  [[nodiscard]] Place place_of(Partition partition) const;  // of one that find() knows
  // Runs `work(KafkaStream&)` on the shard: at once if that is this one.
  template <class Work>
  void on(ShardId shard, Work work);
  // As above, from a home that is elsewhere, for this object.
  template <class Work>
  void here(Partition partition, Work work);
  // An answer for this shard that comes from another thread.
  template <class T>
  Done<T> bring_home(Done<T> done);
  // Asks the cluster about a partition, which may be gone when the answer comes. A broker that has
  // not heard yet that it was made is asked again.
  template <class T, class Request>
  void ask(Partition partition, Request request, Done<T> done);

  void take_over(const Change& change);
  void forget(const stream::StreamInfo& stream);
  void run_waits(Partition partition, Offset end);
  void run_room_waiters();
  void take_answer(Partition partition, std::uint64_t tail, Offset next);
  void take_block(Partition partition, std::uint64_t tail, const log::BlockRef& block);
  void on_stored(Partition partition, std::uint64_t number, Result<Stored> stored);

  const Shards& shards_;
  Cluster& cluster_;
  const ShardId shard_;
  const std::uint32_t count_;
  runtime::Loop& loop_;
  Counter& failures_;
  Gauge& streams_known_;
  stream::Catalogue catalogue_;
  std::vector<stream::CatalogueSink*> sinks_;
  AppendQueue appends_;
  Follows follows_;  // of partitions whose home is here
  std::unordered_map<Partition, Tail> tails_;
  std::uint64_t last_tail_ = 0;
  std::unordered_map<stream::WaitId, Wait> waits_;
  std::uint64_t last_wait_ = 0;
  std::vector<Task> room_waiters_;
  std::atomic<bool> waits_for_room_ = false;
};

}  // namespace sluice::kafka_stream
