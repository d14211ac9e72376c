#include "latest/row.h"

#include <algorithm>

#include "base/assert.h"
#include "log/block.h"
#include "log/packed_header.h"
#include "log/record_batch.h"

namespace sluice::latest {
namespace {

constexpr std::uint8_t format = 1;  // of both kinds of values
constexpr std::size_t version_at = 1;
constexpr char message_tag = 'r';
constexpr char position_tag = 'p';

std::string key_of(char tag, Partition partition) {
  std::string key(rows_prefix_size, tag);
  auto* const at = reinterpret_cast<std::byte*>(key.data());
  store_be<std::uint64_t>(at + 1, partition.stream.value);
  store_be<std::uint32_t>(at + 9, partition.index);
  return key;
}

// False: they are not what a record may have.
bool skip_headers(Reader& reader, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto name_size = reader.read_varint();
    if (name_size < 0) return false;
    reader.skip(static_cast<std::size_t>(name_size));
    const auto value_size = reader.read_varint();
    if (value_size < -1) return false;
    reader.skip(value_size < 0 ? 0 : static_cast<std::size_t>(value_size));
    if (!reader.ok()) return false;
  }
  return true;
}

std::optional<log::PackedHeader> packed_of(const Row& row) {
  std::optional<log::PackedHeader> packed;
  Reader reader(row.headers);
  log::for_each_header(reader, row.headers_count, [&](const log::RecordHeader& header) {
    if (header.name == log::PackedHeader::name) packed = log::decode_packed_header(header.value);
  });
  return packed;
}

}  // namespace

Buffer encode_row(const Row& row) {
  Buffer out;
  out.reserve(32 + row.headers.size() + row.value.size());
  Writer writer(out);
  writer.write<std::uint8_t>(format);
  writer.write<std::int64_t>(row.version.value);
  writer.write<std::int64_t>(row.timestamp);
  writer.write<std::uint8_t>(row.flags);
  writer.write_uvarint(row.headers_count);
  writer.write_bytes(row.headers);
  writer.write_bytes(row.value);
  return out;
}

Result<Row> decode_row(Bytes bytes) {
  Reader reader(bytes);
  const auto found = reader.read<std::uint8_t>();
  Row row;
  row.version.value = reader.read<std::int64_t>();
  row.timestamp = reader.read<std::int64_t>();
  row.flags = reader.read<std::uint8_t>();
  const auto count = reader.read_uvarint(5);
  if (!reader.ok() || found != format || row.version < Row::moved || row.timestamp < 0 ||
      row.timestamp > Row::timestamp_max || count > reader.left())
    return fail(Errc::malformed, "a row of {} bytes is none of a retained message", bytes.size());
  row.headers_count = static_cast<std::uint32_t>(count);
  const Bytes rest = reader.rest();
  if (!skip_headers(reader, count))
    return fail(Errc::malformed, "the headers of a retained message of {} bytes are cut short",
                bytes.size());
  row.headers = rest.first(rest.size() - reader.left());
  row.value = reader.rest();
  return row;
}

void set_moved(MutableBytes row) {
  SLUICE_ASSERT(row.size() >= version_at + sizeof(std::int64_t));
  store_be<std::int64_t>(row.data() + version_at, Row::moved.value);
}

std::uint64_t publisher_of(const Row& row) {
  const auto packed = packed_of(row);
  return packed ? packed->publisher : 0;
}

std::optional<WallMs> expires_at(const Row& row) {
  if ((row.flags & log::Record::has_properties) == 0) return std::nullopt;
  const auto packed = packed_of(row);
  if (!packed || !packed->expiry_s) return std::nullopt;
  return row.timestamp + std::int64_t{*packed->expiry_s} * 1000;
}

Buffer encode_position(const Position& position) {
  Buffer out;
  Writer writer(out);
  writer.write<std::uint8_t>(format);
  writer.write<std::int64_t>(position.next.value);
  writer.write<std::uint32_t>(position.partitions);
  writer.write<std::uint8_t>(position.has_rows ? 1 : 0);
  return out;
}

Result<Position> decode_position(Bytes bytes) {
  Reader reader(bytes);
  const auto found = reader.read<std::uint8_t>();
  Position position;
  position.next.value = reader.read<std::int64_t>();
  position.partitions = reader.read<std::uint32_t>();
  const auto flags = reader.read<std::uint8_t>();
  if (!reader.ok() || reader.left() > 0 || found != format || flags > 1 ||
      position.next < Offset{0})
    return fail(Errc::malformed, "a row of {} bytes is no position", bytes.size());
  position.has_rows = flags != 0;
  return position;
}

std::string to_ordered(std::string_view record_key) {
  std::string key(record_key);
  std::ranges::replace(key, '/', '\0');
  return key;
}

std::string to_record_key(std::string_view ordered) {
  std::string key(ordered);
  std::ranges::replace(key, '\0', '/');
  return key;
}

std::string rows_of(Partition partition) { return key_of(message_tag, partition); }
std::string position_key(Partition partition) { return key_of(position_tag, partition); }
std::string positions_begin() { return {position_tag}; }

std::string end_of(std::string prefix) {
  while (static_cast<unsigned char>(prefix.back()) == 0xff) prefix.pop_back();
  ++prefix.back();
  return prefix;
}

std::optional<Partition> partition_in(std::string_view row_key) {
  if (row_key.size() < rows_prefix_size) return std::nullopt;
  const bool is_position = row_key[0] == position_tag && row_key.size() == rows_prefix_size;
  if (!is_position && row_key[0] != message_tag) return std::nullopt;
  const Bytes bytes = as_bytes(row_key);
  return Partition{.stream = {load_be<std::uint64_t>(bytes.data() + 1)},
                   .index = load_be<std::uint32_t>(bytes.data() + 9)};
}

}  // namespace sluice::latest
