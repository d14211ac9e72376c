#pragma once

#include <librdkafka/rdkafka.h>

#include <cstdint>
#include <memory>

#include "base/buffer.h"
#include "base/ids.h"
#include "log/block.h"

namespace sluice::kafka_stream {

// Lays messages that librdkafka hands out down as one record batch again, as log::Block holds it:
// each with its own offset (holes stay) and timestamp. Reused: after finish() the next add() begins
// a new batch.
class BlockWriter {
 public:
  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  // False: offset or timestamp are too far from the batch's first to be in one batch with it.
  [[nodiscard]] bool fits(const rd_kafka_message_t& message) const;
  void add(const rd_kafka_message_t& message);
  // Stamped, sealed, and indexed. Precondition: !empty().
  std::shared_ptr<log::Block> finish();

 private:
  void begin(const rd_kafka_message_t& message, WallMs timestamp);

  Buffer bytes_;
  Buffer body_;  // of the record that is being written
  std::int64_t base_ = 0;
  std::int64_t last_ = 0;
  WallMs base_timestamp_ = 0;
  WallMs max_timestamp_ = 0;
  std::int32_t count_ = 0;
};

}  // namespace sluice::kafka_stream
