#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/ids.h"
#include "base/task.h"
#include "kafka_stream/client.h"
#include "log/block.h"

namespace sluice::kafka_stream {

// Where the records of a batch lie in the cluster. Not always one behind the other: other producers
// may have written between them.
struct Stored {
  Offset first;
  Offset last;
};

// The one librdkafka producer of the process: idempotent, acks=all. A record counts as stored when
// its delivery report says so.
//
// Threads: any may call; `done` runs on the producer's own thread, which serves delivery reports,
//          or within the call when nothing could be handed over.
// Order:   what one thread produces to a partition is stored in that order, retries included. A
//          batch may fail while later ones succeed (it took too long, a broker refused it); of a
//          batch that fails any part may have been stored.
// Bound:   `buffer` bytes not yet answered; then has_room() is false.
// Failure: an instance that librdkafka declares dead (its state no longer fits that of the cluster)
//          is replaced by a new one; what it had not stored fails.
class Producer {
 public:
  // `on_room` is called by the producer's thread when has_room() may have become true.
  static Result<std::unique_ptr<Producer>> make(const Options& options, Task on_room);
  ~Producer();
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;

  [[nodiscard]] bool has_room() const { return pending_.load() < buffer_; }
  [[nodiscard]] bool idle() const { return pending_.load() == 0; }
  // `block` is indexed.
  void produce(const std::string& topic, std::uint32_t partition,
               std::shared_ptr<const log::Block> block, Done<Stored> done);

  // An instance with a topic of it.
  struct Instance {
    Client client;
    std::mutex mutex;
    std::map<std::string, Topic, std::less<>> topics;
    rd_kafka_topic_t* topic(const std::string& name);  // null on failure
  };
  // The instance in use, for admin requests and metadata as well.
  [[nodiscard]] std::shared_ptr<Instance> instance() const;
  // Forgets a topic that was removed, so that one made again under its name begins afresh.
  void forget(const std::string& topic);
  // Waits for the answers to all that was produced, at most so long. True: they are there.
  bool flush(std::chrono::milliseconds patience);

 private:
  class Batch;
  Producer(const Options& options, Task on_room);
  Result<std::shared_ptr<Instance>> make_instance() const;
  void run();
  void serve(rd_kafka_event_t* event);
  void replace_if_dead();
  void finish(std::unique_ptr<Batch> batch);
  // False: librdkafka has not taken it.
  bool hand_over(Instance& instance, rd_kafka_topic_t* topic, std::uint32_t partition,
                 const log::Block& block, const log::Record& record, Batch& batch);

  const Options options_;
  const std::uint64_t buffer_;
  Task on_room_;
  std::atomic<std::uint64_t> pending_ = 0;
  mutable std::mutex mutex_;  // instance_
  std::shared_ptr<Instance> instance_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace sluice::kafka_stream
