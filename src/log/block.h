#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

namespace sluice::log {

// Where one record of a batch lies, so that no reader parses it again. Positions count from the
// start of Block::content(). One entry per record that is there; offsets may have holes
// (compaction).
struct Record {
  static constexpr std::uint32_t none = 0xffff'ffff;  // key_at, value_at: null

  std::uint32_t offset_delta = 0;  // from Block::from()
  std::uint32_t key_at = none;
  std::uint32_t key_size = 0;
  std::uint32_t value_at = none;
  std::uint32_t value_size = 0;
  std::uint32_t headers_at = 0;  // the first record header (after the count)
  std::uint32_t headers_count = 0;
  std::int32_t timestamp_delta_ms = 0;  // from the batch's base timestamp; saturates
  std::uint32_t key_hash = 0;           // low half of hash64 of the key; 0 without a key
  std::uint8_t flags = 0;               // see below

  // Bits of `flags`. The two lowest are the publisher's QoS as in packed_header.h (0 for records of
  // Kafka clients stands for "not said": they are delivered at the subscription's QoS, see
  // has_packed).
  static constexpr std::uint8_t qos_mask = 0x03;
  static constexpr std::uint8_t retain = 0x04;
  static constexpr std::uint8_t has_packed = 0x08;  // the packed header `mqtt` is there
  static constexpr std::uint8_t has_properties =
      0x10;  // headers other than the packed one, or an expiry
};

// One record batch (magic 2), its bytes as on disk and on the Kafka wire, and its place in the
// partition.
//
// Shared by journal, tail cache, segment writer, Kafka fetches and MQTT deliveries on all shards:
// immutable once it has been appended. Control over it (a shared_ptr) is counted per batch, never
// per record.
class Block {
 public:
  // `bytes` holds exactly one whole batch whose header has been validated.
  explicit Block(Buffer bytes);
  // As above with the records' places known already: what BatchBuilder makes.
  Block(Buffer bytes, std::vector<Record> records);
  // A batch that is part of something larger, which `owner` keeps and nobody changes.
  Block(Bytes bytes, std::shared_ptr<const void> owner);
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  [[nodiscard]] Bytes bytes() const { return bytes_; }
  [[nodiscard]] Offset from() const { return from_; }    // offset of its first record
  [[nodiscard]] Offset until() const { return until_; }  // one beyond its last offset
  [[nodiscard]] WallMs base_timestamp() const;
  [[nodiscard]] WallMs max_timestamp() const;
  // Bytes of memory held, sidecar and expansion included. Of a larger owner's only its own: the
  // blocks of one reading share the rest.
  [[nodiscard]] std::size_t footprint() const;

  // The owner's shard only, before the block is shared: gives the batch its place. Both fields lie
  // outside the CRC. Only where the block has bytes of its own.
  void stamp(Offset base, std::int32_t leader_epoch);
  // Fills records(), decompressing if needed, at most `expanded_max` bytes (Errc::too_large beyond;
  // Errc::malformed when records contradict the header). On the shard that owns the partition only,
  // whoever reads the bytes meanwhile. Does nothing the second time. After a failure records() is
  // empty: such a batch is stored and served to Kafka clients as it is.
  Result<void> index_records(std::size_t expanded_max) const;
  [[nodiscard]] bool indexed() const { return indexed_; }
  [[nodiscard]] std::span<const Record> records() const { return records_; }
  // What the records' positions count in: bytes(), or their decompressed form.
  [[nodiscard]] Bytes content() const { return expanded_.empty() ? bytes_ : Bytes(expanded_); }

  [[nodiscard]] Bytes key(const Record& r) const {
    return content().subspan(r.key_at, r.key_size);
  }  // key_at != none
  [[nodiscard]] Bytes value(const Record& r) const {  // empty for a null value
    return r.value_at == Record::none ? Bytes() : content().subspan(r.value_at, r.value_size);
  }
  [[nodiscard]] WallMs timestamp(const Record& r) const;

  // False: surely no record has the packed header `mqtt`. Cheap; compressed batches of Kafka
  // clients are not looked into and count as having none.
  [[nodiscard]] bool may_have_packed() const;

 private:
  void place();  // reads from_ and until_

  Buffer own_;  // or else
  std::shared_ptr<const void> owner_;
  Bytes bytes_;  // in either
  mutable Buffer expanded_;
  mutable std::vector<Record> records_;
  Offset from_, until_;
  mutable bool indexed_ = false;
};

using BlockRef = std::shared_ptr<const Block>;

}  // namespace sluice::log
