#include "log/record_batch.h"

#include <algorithm>
#include <limits>

#include "base/assert.h"
#include "base/hash.h"
#include "log/batch_layout.h"

namespace sluice::log {
namespace {

std::size_t varint_size(std::int64_t value) {
  const auto zigzag =
      (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
  return (static_cast<std::size_t>(std::bit_width(zigzag | 1)) + 6) / 7;
}

std::byte* put_varint(std::byte* at, std::int64_t value) {
  auto zigzag = (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
  for (; zigzag >= 0x80; zigzag >>= 7) *at++ = static_cast<std::byte>(zigzag | 0x80);
  *at++ = static_cast<std::byte>(zigzag);
  return at;
}

std::byte* put_bytes(std::byte* at, Bytes bytes) {
  if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
  return at + bytes.size();
}

// A field of the record: its size as a varint (-1 for null), then its bytes. `place` gets where the
// bytes begin.
std::byte* put_field(std::byte* at, Bytes bytes, bool null, const std::byte* begin,
                     std::uint32_t& place) {
  if (null) return put_varint(at, -1);
  at = put_varint(at, static_cast<std::int64_t>(bytes.size()));
  place = static_cast<std::uint32_t>(at - begin);
  return put_bytes(at, bytes);
}

std::size_t field_size(Bytes bytes, bool null) {
  return null ? 1 : varint_size(static_cast<std::int64_t>(bytes.size())) + bytes.size();
}

// A builder's own memory stays in the processor's cache from batch to batch; a larger one is given
// back.
constexpr std::size_t kept_size_max = 512 * 1024;

}  // namespace

Result<BatchHeader> decode_batch_header(Bytes bytes) {
  if (bytes.size() < batch_header_size)
    return fail(Errc::malformed, "record batch of {} bytes is shorter than its header",
                bytes.size());
  const std::byte* at = bytes.data();
  BatchHeader header;
  header.base_offset = load_be<std::int64_t>(at + layout::base_offset);
  header.batch_length = load_be<std::int32_t>(at + layout::batch_length);
  header.leader_epoch = load_be<std::int32_t>(at + layout::leader_epoch);
  header.magic = load_be<std::int8_t>(at + layout::magic);
  header.crc = load_be<std::uint32_t>(at + layout::crc);
  header.attributes = load_be<std::int16_t>(at + layout::attributes);
  header.last_offset_delta = load_be<std::int32_t>(at + layout::last_offset_delta);
  header.base_timestamp = load_be<std::int64_t>(at + layout::base_timestamp);
  header.max_timestamp = load_be<std::int64_t>(at + layout::max_timestamp);
  header.producer_id = load_be<std::int64_t>(at + layout::producer_id);
  header.producer_epoch = load_be<std::int16_t>(at + layout::producer_epoch);
  header.base_sequence = load_be<std::int32_t>(at + layout::base_sequence);
  header.record_count = load_be<std::int32_t>(at + layout::record_count);
  if (header.batch_length < static_cast<std::int32_t>(batch_header_size - batch_length_offset))
    return fail(Errc::malformed, "record batch length {} is shorter than its header",
                header.batch_length);
  return header;
}

Result<BatchHeader> validate_batch(Bytes bytes) {
  SLUICE_TRY_ASSIGN(const BatchHeader header, decode_batch_header(bytes));
  if (header.magic != 2)
    return fail(Errc::malformed, "record batch magic {} is not 2", header.magic);
  if (header.total_size() != bytes.size()) {
    return fail(Errc::malformed, "record batch says {} bytes and has {}", header.total_size(),
                bytes.size());
  }
  const std::uint32_t crc = crc32c(bytes.subspan(layout::attributes));
  if (crc != header.crc)
    return fail(Errc::corrupt, "record batch CRC is {:08x}, not {:08x}", crc, header.crc);
  if (header.compression_bits() > static_cast<std::uint8_t>(Compression::zstd))
    return fail(Errc::malformed, "record batch compression {} is not known",
                header.compression_bits());
  if (header.last_offset_delta < 0 || header.record_count < 1 ||
      header.record_count - 1 > header.last_offset_delta) {
    return fail(Errc::malformed, "record batch of {} records ends at offset delta {}",
                header.record_count, header.last_offset_delta);
  }
  return header;
}

void seal_batch(MutableBytes batch) {
  SLUICE_ASSERT(batch.size() >= batch_header_size);
  store_be<std::uint32_t>(batch.data() + layout::crc,
                          crc32c(Bytes(batch).subspan(layout::attributes)));
}

void BatchBuilder::add(WallMs timestamp, const Draft& draft) {
  if (records_.empty()) begin(timestamp);
  const auto delta = static_cast<std::int64_t>(records_.size());
  const auto timestamp_delta = static_cast<std::int32_t>(std::clamp<std::int64_t>(
      timestamp - base_timestamp_, std::numeric_limits<std::int32_t>::min(),
      std::numeric_limits<std::int32_t>::max()));
  max_timestamp_ = std::max(max_timestamp_, base_timestamp_ + timestamp_delta);
  const std::size_t body = 1 + varint_size(timestamp_delta) + varint_size(delta) +
                           field_size(draft.key, draft.null_key) +
                           field_size(draft.value, draft.null_value) +
                           varint_size(draft.headers_count) + draft.headers.size();
  const std::size_t old_size = bytes_.size();
  bytes_.resize(old_size + varint_size(static_cast<std::int64_t>(body)) + body);

  Record& record = records_.emplace_back();
  const std::byte* begin = bytes_.data();
  std::byte* at = put_varint(bytes_.data() + old_size, static_cast<std::int64_t>(body));
  *at++ = std::byte{0};  // attributes
  at = put_varint(at, timestamp_delta);
  at = put_varint(at, delta);
  at = put_field(at, draft.key, draft.null_key, begin, record.key_at);
  at = put_field(at, draft.value, draft.null_value, begin, record.value_at);
  at = put_varint(at, draft.headers_count);
  record.headers_at = static_cast<std::uint32_t>(at - begin);
  put_bytes(at, draft.headers);

  record.offset_delta = static_cast<std::uint32_t>(delta);
  record.timestamp_delta_ms = timestamp_delta;
  record.key_size = draft.null_key ? 0 : static_cast<std::uint32_t>(draft.key.size());
  record.value_size = draft.null_value ? 0 : static_cast<std::uint32_t>(draft.value.size());
  record.headers_count = draft.headers_count;
  record.key_hash = draft.key_hash;
  record.flags = draft.flags;
}

void BatchBuilder::begin(WallMs timestamp) {
  base_timestamp_ = max_timestamp_ = timestamp;
  bytes_.resize(batch_header_size);
}

std::shared_ptr<Block> BatchBuilder::finish() {
  SLUICE_ASSERT(!empty());
  std::byte* at = bytes_.data();
  const auto count = static_cast<std::int32_t>(records_.size());
  store_be<std::int64_t>(at + layout::base_offset, 0);
  store_be<std::int32_t>(at + layout::batch_length,
                         static_cast<std::int32_t>(bytes_.size() - batch_length_offset));
  store_be<std::int32_t>(at + layout::leader_epoch, -1);
  store_be<std::int8_t>(at + layout::magic, 2);
  store_be<std::int16_t>(at + layout::attributes, 0);
  store_be<std::int32_t>(at + layout::last_offset_delta, count - 1);
  store_be<std::int64_t>(at + layout::base_timestamp, base_timestamp_);
  store_be<std::int64_t>(at + layout::max_timestamp, max_timestamp_);
  store_be<std::int64_t>(at + layout::producer_id, -1);
  store_be<std::int16_t>(at + layout::producer_epoch, -1);
  store_be<std::int32_t>(at + layout::base_sequence, -1);
  store_be<std::int32_t>(at + layout::record_count, count);
  seal_batch(bytes_);

  auto block = std::make_shared<Block>(Buffer(bytes_), std::vector<Record>(records_));
  bytes_.clear();
  records_.clear();
  if (bytes_.capacity() > kept_size_max) {
    bytes_ = {};
    records_ = {};
  }
  return block;
}

Bytes headers_of(const Block& block, const Record& record) {
  const Bytes from = block.content().subspan(record.headers_at);
  Reader reader(from);
  for_each_header(reader, record.headers_count, [](const RecordHeader&) {});
  return from.first(reader.position());
}

bool has_record_without_key(const Block& block) {
  if (block.indexed()) {
    return std::ranges::any_of(block.records(),
                               [](const Record& record) { return record.key_at == Record::none; });
  }
  const auto header = decode_batch_header(block.bytes());
  if (!header || header->compression_bits() != 0) return false;
  Reader records(block.bytes().subspan(batch_header_size));
  while (records.left() > 0) {
    const auto size = records.read_varint();
    Reader record(records.take(size < 0 ? SIZE_MAX : static_cast<std::size_t>(size)));
    record.skip(1);        // attributes
    record.read_varint();  // timestamp delta
    record.read_varint();  // offset delta
    if (record.read_varint() < 0 && record.ok()) return true;
  }
  return false;
}

void append_header(Buffer& out, std::string_view name, Bytes value) {
  Writer writer(out);
  writer.write_varint(static_cast<std::int64_t>(name.size()));
  writer.write_text(name);
  writer.write_varint(static_cast<std::int64_t>(value.size()));
  writer.write_bytes(value);
}

}  // namespace sluice::log
