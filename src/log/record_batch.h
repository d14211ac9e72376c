#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "log/block.h"

namespace sluice::log {

// Kafka's record batch, magic 2 (KIP-98; Apache Kafka, "Implementation: Message Format"). Shared by
// the log, the Kafka front end and whoever publishes.

constexpr std::size_t batch_header_size = 61;
constexpr std::size_t batch_length_offset = 12;  // batchLength counts from here

enum class Compression : std::uint8_t { none, gzip, snappy, lz4, zstd };

struct BatchHeader {
  std::int64_t base_offset = 0;
  std::int32_t batch_length = 0;
  std::int32_t leader_epoch = 0;
  std::int8_t magic = 0;
  std::uint32_t crc = 0;
  std::int16_t attributes = 0;
  std::int32_t last_offset_delta = 0;
  std::int64_t base_timestamp = 0;
  std::int64_t max_timestamp = 0;
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = -1;
  std::int32_t base_sequence = -1;
  std::int32_t record_count = 0;

  [[nodiscard]] std::size_t total_size() const {
    return batch_length_offset + static_cast<std::size_t>(batch_length);
  }
  [[nodiscard]] std::uint8_t compression_bits() const {
    return static_cast<std::uint8_t>(attributes & 0x07);
  }
  [[nodiscard]] bool log_append_time() const { return (attributes & 0x08) != 0; }
  [[nodiscard]] bool transactional() const { return (attributes & 0x10) != 0; }
  [[nodiscard]] bool control() const { return (attributes & 0x20) != 0; }
};

// Reads the header fields; Errc::malformed when `bytes` is shorter than a header or the length
// field is impossible. Does not look at the checksum or the records.
Result<BatchHeader> decode_batch_header(Bytes bytes);

// All that can be said without looking inside: `bytes` is exactly one batch, magic 2, its CRC holds
// (Errc::corrupt otherwise), counts agree with each other.
Result<BatchHeader> validate_batch(Bytes bytes);

// Recomputes the CRC in place (after a change of attributes or timestamps).
void seal_batch(MutableBytes batch);

struct RecordHeader {
  std::string_view name;
  Bytes value;  // empty for null
};

// Calls `visit(RecordHeader)` for each of the `count` encoded headers that `reader` stands before;
// it fails where there are fewer.
template <class Visit>
void for_each_header(Reader& reader, std::uint32_t count, Visit visit) {
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto name_size = reader.read_varint();
    const auto name = reader.take(name_size < 0 ? 0 : static_cast<std::size_t>(name_size));
    const auto value_size = reader.read_varint();
    const auto value = reader.take(value_size < 0 ? 0 : static_cast<std::size_t>(value_size));
    if (!reader.ok()) return;
    visit(RecordHeader{as_text(name), value});
  }
}

// Calls `visit(RecordHeader)` for each header of a record of an indexed block.
template <class Visit>
void for_each_header(const Block& block, const Record& record, Visit visit) {
  Reader reader(block.content().subspan(record.headers_at));
  for_each_header(reader, record.headers_count, std::move(visit));
}

// The encoded headers of a record of an indexed block, as BatchBuilder takes them.
Bytes headers_of(const Block& block, const Record& record);

// Builds one batch from records in order. Reused: after finish() the next add() begins a new one.
// Records are laid down in the builder's memory and copied into the block in one go: small writes
// to memory that no cache holds would cost several times as much. The bytes are laid down as they
// come; nothing is kept per record but its sidecar entry.
class BatchBuilder {
 public:
  struct Draft {
    Bytes key;
    Bytes value;
    Bytes headers;  // `headers_count` times: varint name size, name, varint value size, value
    std::uint32_t headers_count = 0;
    std::uint8_t flags = 0;      // Record::flags
    std::uint32_t key_hash = 0;  // low half of hash64(key), which the caller has at hand
    bool null_key = false;
    bool null_value = false;
  };

  [[nodiscard]] bool empty() const { return records_.empty(); }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }  // bytes so far
  [[nodiscard]] std::uint32_t count() const { return static_cast<std::uint32_t>(records_.size()); }

  // A timestamp more than 2^31 ms away from that of the batch's first record is taken for that far.
  void add(WallMs timestamp, const Draft& draft);
  // The batch with lengths and CRC filled in, not yet stamped. Precondition: !empty().
  std::shared_ptr<Block> finish();

 private:
  void begin(WallMs timestamp);

  Buffer bytes_;
  std::vector<Record> records_;
  WallMs base_timestamp_ = 0;
  WallMs max_timestamp_ = 0;
};

// Whether a record is seen to have no key. Compressed batches are not looked into; what is
// malformed counts as having keys.
bool has_record_without_key(const Block& block);

// Appends one encoded record header.
void append_header(Buffer& out, std::string_view name, Bytes value);

}  // namespace sluice::log
