#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "kafka_stream/cursor.h"
#include "log/block.h"

namespace sluice::kafka_stream {

// A block on its way to those who follow its partition. While it is held its bytes count as not yet
// taken.
class Delivery {
 public:
  class Credit;
  Delivery(std::shared_ptr<log::Block> block, std::shared_ptr<Credit> credit);
  ~Delivery();
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;

  [[nodiscard]] const std::shared_ptr<log::Block>& block() const { return block_; }

 private:
  const std::shared_ptr<log::Block> block_;
  const std::shared_ptr<Credit> credit_;
};
using DeliveryRef = std::shared_ptr<const Delivery>;

// Follows the ends of partitions: one librdkafka consumer for the whole process, on a thread of its
// own.
//
// Bound:   8 MiB of blocks that were handed out and not yet taken by all; beyond, the thread waits,
//          and librdkafka stops to fetch when 16 MiB wait in its queue. So a slow shard slows the
//          tails of all shards, but nothing is lost and nobody is sent away (no on_behind).
// Failure: whatever ends the reading of a partition, it goes on where it stood as soon as that is
//          possible. Where retention was faster, at the start that is left: a hole. Where the
//          cluster lost records that had been read, at its end.
class TailReader {
 public:
  using Deliver = std::move_only_function<void(std::uint64_t follow, DeliveryRef delivery)>;

  // `deliver` is called on the thread.
  static Result<std::unique_ptr<TailReader>> make(const Options& options, Deliver deliver);
  ~TailReader();
  TailReader(const TailReader&) = delete;
  TailReader& operator=(const TailReader&) = delete;

  // From any thread. A partition is followed once at a time: a second start() replaces the first.
  // What is delivered carries the number `follow`, which tells it from what an earlier start() of
  // the partition brought.
  void start(Place place, std::uint64_t follow, Offset from);
  void stop(Place place, std::uint64_t follow);
  // So much was handed out and not yet taken that it waits; from any thread.
  [[nodiscard]] bool is_full() const;

 private:
  struct Followed;
  struct Command {
    Place place;
    std::uint64_t follow;
    std::optional<Offset> from;  // nothing: stop
  };

  explicit TailReader(Deliver deliver);
  void run();
  void give(Command command);
  void obey();
  void read();
  void take(const rd_kafka_message_t& message);
  Followed* find(const rd_kafka_message_t& message);
  void flush(Followed& followed);
  void begin(Followed& followed);
  void end(Followed& followed);
  void on_error(Followed& followed, rd_kafka_resp_err_t error);
  void begin_again();
  bool wait_for_credit();

  Deliver deliver_;
  const std::shared_ptr<Delivery::Credit> credit_;
  std::mutex mutex_;
  std::vector<Command> commands_;
  std::atomic<bool> stopping_ = false;

  // The thread's own:
  Client client_;
  Queue queue_;
  std::map<Place, std::unique_ptr<Followed>> followed_;
  const rd_kafka_topic_t* last_topic_ = nullptr;  // of the message before
  Followed* last_ = nullptr;
  std::vector<Followed*> filled_;  // whose writers hold something
  std::thread thread_;
};

}  // namespace sluice::kafka_stream
