#include "kafka_stream/cursor.h"

#include <algorithm>

namespace sluice::kafka_stream {
namespace {

// A block of a read answer is closed at this size.
constexpr std::size_t block_size = 256 << 10;
// Between two requests that wake librdkafka while a read waits.
constexpr std::chrono::milliseconds wake_interval{10};

// One offset of each place: RD_KAFKA_OFFSET_BEGINNING or _END. An error if any cannot be told.
// ListOffsets takes these where it takes a time, and librdkafka hands them on. What it has for the
// purpose, rd_kafka_query_watermark_offsets, does not keep its timeout before version 2.3: when a
// partition's leader has died it may take half a minute.
Result<std::vector<Offset>> query_offsets(rd_kafka_t* client, const std::vector<Place>& places,
                                          std::int64_t which) {
  const PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(places.size())));
  for (const Place& place : places)
    rd_kafka_topic_partition_list_add(list.get(), place.topic.c_str(),
                                      static_cast<std::int32_t>(place.partition))
        ->offset = which;
  const auto error = rd_kafka_offsets_for_times(client, list.get(), milliseconds(request_timeout));
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
    return std::unexpected(error_of(error, to_string(places.front())));
  std::vector<Offset> offsets;
  for (const Place& place : places) {
    const auto* const element = rd_kafka_topic_partition_list_find(
        list.get(), place.topic.c_str(), static_cast<std::int32_t>(place.partition));
    if (element == nullptr || element->err != RD_KAFKA_RESP_ERR_NO_ERROR)
      return std::unexpected(error_of(
          element == nullptr ? RD_KAFKA_RESP_ERR__BAD_MSG : element->err, to_string(place)));
    if (element->offset < 0) return fail(Errc::io, "{}: it has no offsets", to_string(place));
    offsets.push_back({element->offset});
  }
  return offsets;
}

// The start first: it may only move towards the end meanwhile.
Result<std::vector<stream::Bounds>> query_all_bounds(rd_kafka_t* client,
                                                     const std::vector<Place>& places) {
  SLUICE_TRY_ASSIGN(const auto starts, query_offsets(client, places, RD_KAFKA_OFFSET_BEGINNING));
  SLUICE_TRY_ASSIGN(const auto ends, query_offsets(client, places, RD_KAFKA_OFFSET_END));
  std::vector<stream::Bounds> all;
  all.reserve(places.size());
  for (std::size_t i = 0; i < places.size(); ++i) all.push_back({starts[i], ends[i]});
  return all;
}

}  // namespace

std::string to_string(const Place& place) {
  return fmt::format("{} [{}]", place.topic, place.partition);
}

Result<stream::Bounds> query_bounds(rd_kafka_t* client, const Place& place) {
  SLUICE_TRY_ASSIGN(const auto all, query_all_bounds(client, {place}));
  return all.front();
}

std::vector<Result<stream::Bounds>> query_bounds(rd_kafka_t* client,
                                                 const std::vector<Place>& places) {
  if (places.size() > 1)
    if (const auto all = query_all_bounds(client, places)) return {all->begin(), all->end()};
  std::vector<Result<stream::Bounds>> each;
  each.reserve(places.size());
  for (const Place& place : places) each.push_back(query_bounds(client, place));
  return each;
}

Result<std::optional<Offset>> query_time(rd_kafka_t* client, const Place& place, WallMs when) {
  const PartitionList list(rd_kafka_topic_partition_list_new(1));
  auto* const element = rd_kafka_topic_partition_list_add(
      list.get(), place.topic.c_str(), static_cast<std::int32_t>(place.partition));
  // Negative numbers are commands to Kafka, not times.
  element->offset = std::max<WallMs>(when, 0);
  auto error = rd_kafka_offsets_for_times(client, list.get(), milliseconds(request_timeout));
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) error = element->err;
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
    return std::unexpected(error_of(error, to_string(place)));
  if (element->offset < 0) return std::nullopt;
  return Offset{element->offset};
}

Result<std::unique_ptr<Cursor>> Cursor::open(rd_kafka_t* consumer, const Place& place, Offset at) {
  SLUICE_TRY_ASSIGN(const stream::Bounds bounds, query_bounds(consumer, place));
  if (at < bounds.start || at > bounds.visible_end)
    return fail(Errc::out_of_range, "{}: offset {} is not within {} to {}", to_string(place),
                at.value, bounds.start.value, bounds.visible_end.value);
  std::unique_ptr<Cursor> cursor(new Cursor(consumer, place, at));
  cursor->bounds_ = bounds;
  cursor->is_over_ = at == bounds.visible_end;
  if (cursor->is_over_) return cursor;  // nothing to fetch
  cursor->topic_ = make_topic(consumer, place.topic);
  if (!cursor->topic_) return std::unexpected(error_of(rd_kafka_last_error(), to_string(place)));
  cursor->queue_.reset(rd_kafka_queue_new(consumer));
  if (rd_kafka_consume_start_queue(cursor->topic_.get(), static_cast<std::int32_t>(place.partition),
                                   at.value, cursor->queue_.get()) == 0)
    return cursor;
  cursor->queue_.reset();
  return std::unexpected(error_of(rd_kafka_last_error(), to_string(place)));
}

Cursor::~Cursor() {
  if (queue_) rd_kafka_consume_stop(topic_.get(), static_cast<std::int32_t>(place_.partition));
}

Result<stream::ReadAnswer> Cursor::read(std::size_t bytes_max) {
  stream::ReadAnswer answer;
  bytes_ = 0;
  const auto end = Clock::now() + request_timeout;
  while (!is_over_) {
    const bool nothing_yet = answer.blocks.empty() && writer_.empty();
    if (!nothing_yet && bytes_ + writer_.size() >= bytes_max) break;
    const Message message(
        rd_kafka_consume_queue(queue_.get(), nothing_yet ? milliseconds(wake_interval) : 0));
    if (!message) {
      if (!nothing_yet) break;
      if (Clock::now() >= end)
        return fail(Errc::io, "{}: no answer for {} ms", to_string(place_),
                    request_timeout.count());
      // librdkafka 2.0.2 ceases to fetch while much waits to be read, and looks only once a second
      // whether that has been taken. A request to the same broker makes it look now; and it tells
      // of a topic that is gone, which librdkafka says in its log alone.
      SLUICE_TRY_ASSIGN(bounds_, query_bounds(consumer_, place_));
      continue;
    }
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      next_ = std::max(next_, Offset{message->offset});
      // It may have waited here since an earlier read; that nothing is there must be true now.
      if (nothing_yet) {
        SLUICE_TRY_ASSIGN(bounds_, query_bounds(consumer_, place_));
      }
      is_over_ = !nothing_yet || bounds_.visible_end <= next_;
    } else if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      is_over_ = true;
      if (nothing_yet) return std::unexpected(error_of(message->err, to_string(place_)));
    } else if (message->offset >= next_.value) {
      take(*message, answer);
    }
  }
  close_block(answer);
  answer.next = next_;
  answer.bounds = bounds();
  used_ = Clock::now();
  return answer;
}

void Cursor::take(const rd_kafka_message_t& message, stream::ReadAnswer& answer) {
  if (!writer_.fits(message) || writer_.size() >= block_size) close_block(answer);
  writer_.add(message);
  next_ = {message.offset + 1};
}

void Cursor::close_block(stream::ReadAnswer& answer) {
  if (writer_.empty()) return;
  bytes_ += writer_.size();
  answer.blocks.push_back(writer_.finish());
}

stream::Bounds Cursor::bounds() const {
  std::int64_t start = 0;
  std::int64_t end = 0;
  stream::Bounds known = bounds_;
  if (queue_ && rd_kafka_get_watermark_offsets(consumer_, place_.topic.c_str(),
                                               static_cast<std::int32_t>(place_.partition), &start,
                                               &end) == RD_KAFKA_RESP_ERR_NO_ERROR)
    known.visible_end = std::max(known.visible_end, Offset{end});
  known.visible_end = std::max(known.visible_end, next_);
  return known;
}

}  // namespace sluice::kafka_stream
