#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kafka_stream/block_writer.h"
#include "kafka_stream/client.h"
#include "stream/stream.h"

namespace sluice::kafka_stream {

// A partition by the name of its topic.
struct Place {
  std::string topic;
  std::uint32_t partition = 0;
  friend auto operator<=>(const Place&, const Place&) = default;
};
std::string to_string(const Place& place);  // "sensors [3]"

// Start and visible end, as the partition's leader says now. Blocks for at most request_timeout.
Result<stream::Bounds> query_bounds(rd_kafka_t* client, const Place& place);
// The same for several partitions of a topic, all different, by one request to each leader. If that
// fails they are asked one after the other, so that one without a leader does not hide the others.
std::vector<Result<stream::Bounds>> query_bounds(rd_kafka_t* client,
                                                 const std::vector<Place>& places);
// The first record with a timestamp of `when` or later; none.
Result<std::optional<Offset>> query_time(rd_kafka_t* client, const Place& place, WallMs when);

// A place in a partition from which messages are read on and on. librdkafka fetches ahead (bounded
// by the consumer's settings), so reading in sequence costs no round trip each time. At most one
// per partition and consumer. Blocking; for helper threads.
class Cursor {
 public:
  using Clock = std::chrono::steady_clock;

  // Errors as in read(). Precondition: the consumer has no other cursor of this partition.
  static Result<std::unique_ptr<Cursor>> open(rd_kafka_t* consumer, const Place& place, Offset at);
  ~Cursor();
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;

  // What stream::Stream::read says, from at() on. Errors: not_found, out_of_range, io.
  Result<stream::ReadAnswer> read(std::size_t bytes_max);
  [[nodiscard]] Offset at() const { return next_; }
  // It met the end, or an error behind what it has read. librdkafka says nothing of either a second
  // time: who wants to read on opens another one, and hears of an error that lasts.
  [[nodiscard]] bool is_over() const { return is_over_; }
  [[nodiscard]] Clock::time_point used() const { return used_; }

 private:
  Cursor(rd_kafka_t* consumer, Place place, Offset at)
      : consumer_(consumer), place_(std::move(place)), next_(at) {}
  void take(const rd_kafka_message_t& message, stream::ReadAnswer& answer);
  void close_block(stream::ReadAnswer& answer);
  stream::Bounds bounds() const;

  rd_kafka_t* const consumer_;
  const Place place_;
  Topic topic_;
  Queue queue_;
  Offset next_;
  stream::Bounds bounds_;  // when they were last asked for
  bool is_over_ = false;
  std::size_t bytes_ = 0;  // of the answer under way, closed blocks
  Clock::time_point used_ = Clock::now();
  BlockWriter writer_;
};

}  // namespace sluice::kafka_stream
