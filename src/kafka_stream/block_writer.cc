#include "kafka_stream/block_writer.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <utility>

#include "base/assert.h"
#include "base/bytes.h"
#include "log/batch_layout.h"
#include "log/record_batch.h"

namespace sluice::kafka_stream {
namespace {

namespace layout = log::layout;

constexpr std::int64_t delta_max = std::numeric_limits<std::int32_t>::max();

WallMs timestamp_of(const rd_kafka_message_t& message) {
  return rd_kafka_message_timestamp(&message, nullptr);
}

Bytes bytes_of(const void* data, std::size_t size) {
  return {static_cast<const std::byte*>(data), size};
}

void write_field(Writer& out, const void* data, std::size_t size) {
  if (data == nullptr) return out.write_varint(-1);
  out.write_varint(static_cast<std::int64_t>(size));
  out.write_bytes(bytes_of(data, size));
}

void write_headers(Writer& out, const rd_kafka_message_t& message) {
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
    return out.write_varint(0);
  const std::size_t count = rd_kafka_header_cnt(headers);
  out.write_varint(static_cast<std::int64_t>(count));
  for (std::size_t i = 0; i < count; ++i) {
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    rd_kafka_header_get_all(headers, i, &name, &value, &size);
    out.write_varint(static_cast<std::int64_t>(std::string_view(name).size()));
    out.write_text(name);
    write_field(out, value, size);
  }
}

}  // namespace

bool BlockWriter::fits(const rd_kafka_message_t& message) const {
  return empty() || (message.offset > last_ && message.offset - base_ < delta_max &&
                     std::abs(timestamp_of(message) - base_timestamp_) < delta_max);
}

void BlockWriter::begin(const rd_kafka_message_t& message, WallMs timestamp) {
  bytes_.resize(log::batch_header_size);
  base_ = message.offset;
  base_timestamp_ = max_timestamp_ = timestamp;
}

void BlockWriter::add(const rd_kafka_message_t& message) {
  const WallMs timestamp = timestamp_of(message);
  if (empty()) begin(message, timestamp);
  body_.clear();
  Writer body(body_);
  body.write<std::int8_t>(0);  // attributes
  body.write_varint(timestamp - base_timestamp_);
  body.write_varint(message.offset - base_);
  write_field(body, message.key, message.key_len);
  write_field(body, message.payload, message.len);
  write_headers(body, message);

  Writer out(bytes_);
  out.write_varint(static_cast<std::int64_t>(body_.size()));
  out.write_bytes(body_);
  last_ = message.offset;
  max_timestamp_ = std::max(max_timestamp_, timestamp);
  ++count_;
}

std::shared_ptr<log::Block> BlockWriter::finish() {
  SLUICE_ASSERT(!empty());
  std::byte* at = bytes_.data();
  store_be<std::int64_t>(at + layout::base_offset, base_);
  store_be<std::int32_t>(at + layout::batch_length,
                         static_cast<std::int32_t>(bytes_.size() - log::batch_length_offset));
  store_be<std::int32_t>(at + layout::leader_epoch, -1);
  store_be<std::int8_t>(at + layout::magic, 2);
  store_be<std::int16_t>(at + layout::attributes, 0);
  store_be<std::int32_t>(at + layout::last_offset_delta, static_cast<std::int32_t>(last_ - base_));
  store_be<std::int64_t>(at + layout::base_timestamp, base_timestamp_);
  store_be<std::int64_t>(at + layout::max_timestamp, max_timestamp_);
  store_be<std::int64_t>(at + layout::producer_id, -1);
  store_be<std::int16_t>(at + layout::producer_epoch, -1);
  store_be<std::int32_t>(at + layout::base_sequence, -1);
  store_be<std::int32_t>(at + layout::record_count, count_);
  log::seal_batch(bytes_);
  count_ = 0;

  auto block = std::make_shared<log::Block>(Buffer(bytes_));
  bytes_.clear();
  const auto indexed = block->index_records(0);  // not compressed: nothing is expanded
  SLUICE_ASSERT(indexed);
  return block;
}

}  // namespace sluice::kafka_stream
