#include "log/block.h"

#include <algorithm>
#include <limits>

#include "base/assert.h"
#include "base/hash.h"
#include "log/batch_layout.h"
#include "log/compression.h"
#include "log/packed_header.h"
#include "log/record_batch.h"

namespace sluice::log {
namespace {

// A record of no key, no value and no headers takes seven bytes: a bound for what a count can
// claim.
constexpr std::size_t record_size_min = 7;

// Walks the records of a batch. Every position that it hands out lies inside the content.
class RecordParser {
 public:
  RecordParser(Bytes content, std::size_t first, const BatchHeader& header)
      : content_(content), at_(first), header_(header) {}

  Result<std::vector<Record>> parse() {
    std::vector<Record> records;
    const auto count = static_cast<std::size_t>(header_.record_count);
    if (count > (content_.size() - at_) / record_size_min)
      return fail(Errc::malformed, "{} records do not fit in {} bytes", count,
                  content_.size() - at_);
    records.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      Record record;
      if (!parse_record(record))
        return fail(Errc::malformed, "record {} of {} is malformed", i, count);
      if (i > 0 && record.offset_delta <= records.back().offset_delta)
        return fail(Errc::malformed, "record {} of {} is not in offset order", i, count);
      records.push_back(record);
    }
    if (at_ != content_.size())
      return fail(Errc::malformed, "{} bytes after the last record", content_.size() - at_);
    return records;
  }

 private:
  bool parse_record(Record& record) {
    Reader outer(content_.subspan(at_));
    const auto size = outer.read_varint();
    if (!outer.ok() || size < 0 || static_cast<std::uint64_t>(size) > outer.left()) return false;
    const std::size_t body_at = at_ + outer.position();
    Reader reader(content_.subspan(body_at, static_cast<std::size_t>(size)));
    reader.skip(1);  // attributes: none are defined
    const auto timestamp_delta = reader.read_varint();
    const auto offset_delta = reader.read_varint();
    if (offset_delta < 0 || offset_delta > header_.last_offset_delta) return false;
    record.offset_delta = static_cast<std::uint32_t>(offset_delta);
    record.timestamp_delta_ms = static_cast<std::int32_t>(
        std::clamp<std::int64_t>(timestamp_delta, std::numeric_limits<std::int32_t>::min(),
                                 std::numeric_limits<std::int32_t>::max()));
    if (!parse_field(reader, body_at, record.key_at, record.key_size)) return false;
    if (!parse_field(reader, body_at, record.value_at, record.value_size)) return false;
    if (record.key_at != Record::none) {
      const Bytes key = content_.subspan(record.key_at, record.key_size);
      record.key_hash = static_cast<std::uint32_t>(hash64(key));
    }
    if (!parse_headers(reader, body_at, record)) return false;
    at_ = body_at + static_cast<std::size_t>(size);
    return reader.ok() && reader.left() == 0;
  }

  static bool parse_field(Reader& reader, std::size_t body_at, std::uint32_t& at,
                          std::uint32_t& size) {
    const auto length = reader.read_varint();
    if (!reader.ok() || length < -1) return false;
    if (length == -1) return true;
    at = static_cast<std::uint32_t>(body_at + reader.position());
    size = static_cast<std::uint32_t>(length);
    reader.skip(static_cast<std::size_t>(length));
    return reader.ok();
  }

  static bool parse_headers(Reader& reader, std::size_t body_at, Record& record) {
    const auto count = reader.read_varint();
    if (!reader.ok() || count < 0 || static_cast<std::uint64_t>(count) > reader.left())
      return false;
    record.headers_at = static_cast<std::uint32_t>(body_at + reader.position());
    record.headers_count = static_cast<std::uint32_t>(count);
    for (std::int64_t i = 0; i < count; ++i) {
      const auto name_size = reader.read_varint();
      if (name_size < 0) return false;
      const Bytes name = reader.take(static_cast<std::size_t>(name_size));
      const auto value_size = reader.read_varint();
      if (value_size < -1) return false;
      const Bytes value = reader.take(value_size < 0 ? 0 : static_cast<std::size_t>(value_size));
      if (!reader.ok()) return false;
      note_header(as_text(name), value, record);
    }
    return true;
  }

  static void note_header(std::string_view name, Bytes value, Record& record) {
    const auto packed = name == PackedHeader::name ? decode_packed_header(value) : std::nullopt;
    if (!packed) {
      record.flags |= Record::has_properties;
      return;
    }
    record.flags = static_cast<std::uint8_t>(record.flags | Record::has_packed | packed->qos);
    if (packed->retain) record.flags |= Record::retain;
    if (packed->expiry_s) record.flags |= Record::has_properties;
  }

  Bytes content_;
  std::size_t at_;
  const BatchHeader& header_;
};

}  // namespace

Block::Block(Buffer bytes) : own_(std::move(bytes)), bytes_(own_) { place(); }

Block::Block(Bytes bytes, std::shared_ptr<const void> owner)
    : owner_(std::move(owner)), bytes_(bytes) {
  place();
}

void Block::place() {
  SLUICE_ASSERT(bytes_.size() >= batch_header_size);
  const std::byte* at = bytes_.data();
  from_ = {load_be<std::int64_t>(at + layout::base_offset)};
  until_ = from_ + load_be<std::int32_t>(at + layout::last_offset_delta) + 1;
}

Block::Block(Buffer bytes, std::vector<Record> records) : Block(std::move(bytes)) {
  records_ = std::move(records);
  indexed_ = true;
}

WallMs Block::base_timestamp() const {
  return load_be<std::int64_t>(bytes_.data() + layout::base_timestamp);
}
WallMs Block::max_timestamp() const {
  return load_be<std::int64_t>(bytes_.data() + layout::max_timestamp);
}

std::size_t Block::footprint() const {
  const std::size_t bytes = owner_ ? bytes_.size() : own_.capacity();
  return sizeof(Block) + bytes + expanded_.capacity() + records_.capacity() * sizeof(Record);
}

void Block::stamp(Offset base, std::int32_t leader_epoch) {
  SLUICE_ASSERT(!owner_);
  until_ = base + (until_ - from_);
  from_ = base;
  store_be<std::int64_t>(own_.data() + layout::base_offset, base.value);
  store_be<std::int32_t>(own_.data() + layout::leader_epoch, leader_epoch);
}

Result<void> Block::index_records(std::size_t expanded_max) const {
  if (indexed_) return {};
  SLUICE_TRY_ASSIGN(const BatchHeader header, decode_batch_header(bytes_));
  const Bytes records = bytes_.subspan(batch_header_size);
  const auto codec = static_cast<Compression>(header.compression_bits());
  Buffer expanded;
  if (codec != Compression::none) {
    SLUICE_TRY_ASSIGN(expanded, decompress(codec, records, expanded_max));
  }
  const bool in_place = codec == Compression::none;
  RecordParser parser(in_place ? bytes_ : Bytes(expanded), in_place ? batch_header_size : 0,
                      header);
  SLUICE_TRY_ASSIGN(records_, parser.parse());
  expanded_ = std::move(expanded);
  indexed_ = true;
  return {};
}

bool Block::may_have_packed() const {
  if (indexed_)
    return std::ranges::any_of(records_,
                               [](const Record& r) { return (r.flags & Record::has_packed) != 0; });
  // The header's name as a record holds it: its length as a zigzag varint, then the text. Sought by
  // its rarest letter, for which memchr stops the least.
  constexpr std::string_view name = "\x08mqtt";
  constexpr std::size_t rare_at = 2;
  const std::string_view text = as_text(bytes_);
  for (std::size_t at = text.find(name[rare_at], rare_at); at != std::string_view::npos;
       at = text.find(name[rare_at], at + 1)) {
    if (text.substr(at - rare_at, name.size()) == name) return true;
  }
  return false;
}

WallMs Block::timestamp(const Record& r) const {
  const auto attributes = load_be<std::int16_t>(bytes_.data() + layout::attributes);
  if ((attributes & 0x08) != 0) return max_timestamp();  // the append time, one for the whole batch
  return base_timestamp() + r.timestamp_delta_ms;
}

}  // namespace sluice::log
