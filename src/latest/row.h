#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

namespace sluice::latest {

// What the table `__retained` holds (docs/formats/retained.md): a row per retained message, and one
// per data partition that says how far it is folded. Both lie in the partition's own slot.

// A retained message. Views into the record or the row that it came from.
struct Row {
  // Of a row that was moved here from where its topic was routed before: any record of this
  // partition is newer.
  static constexpr Offset moved{-1};
  static constexpr WallMs timestamp_max = WallMs{1} << 60;

  Offset version;          // offset of the record; of one topic the higher one wins
  WallMs timestamp = 0;    // 0 to timestamp_max
  std::uint8_t flags = 0;  // log::Record::flags
  std::uint32_t headers_count = 0;
  Bytes headers;  // encoded as in the record, the packed one among them
  Bytes value;

  // A message that was cleared, kept for a while so that an older one that is still being moved
  // here does not bring the topic back.
  [[nodiscard]] bool cleared() const { return value.empty(); }
};

Buffer encode_row(const Row& row);
Result<Row> decode_row(Bytes bytes);  // Errc::malformed
// The same row as one that was moved; its bytes are an encoded row's.
void set_moved(MutableBytes row);

// The id of the session that published it (0: not known), and when it expires (nothing: never).
std::uint64_t publisher_of(const Row& row);
std::optional<WallMs> expires_at(const Row& row);

// How far a data partition is folded.
struct Position {
  Offset next;                   // everything below it is in the rows
  std::uint32_t partitions = 0;  // of the stream, when the rows were placed
  bool has_rows = false;         // there may be rows of this partition
  friend bool operator==(const Position&, const Position&) = default;
};
Buffer encode_position(const Position& position);
Result<Position> decode_position(Bytes bytes);  // Errc::malformed

// Keys of rows. A record key has its '/' as byte 0 there, so that the children of a level lie
// together and right behind it; it holds no other byte 0 (topics don't).
std::string to_ordered(std::string_view record_key);
std::string to_record_key(std::string_view ordered);
std::string rows_of(Partition partition);  // what the keys of all its rows begin with
std::string position_key(Partition partition);
std::string positions_begin();
// The first key beyond all that begin with `prefix`, which is not all 0xff.
std::string end_of(std::string prefix);

// The partition that a position's or a message's key names; nothing if it is neither.
std::optional<Partition> partition_in(std::string_view row_key);
constexpr std::size_t rows_prefix_size = 13;  // of rows_of()

}  // namespace sluice::latest
