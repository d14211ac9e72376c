#include "kafka/group_rows.h"

namespace sluice::kafka {

namespace {

constexpr std::int8_t row_version = 1;
constexpr char group_kind = 'g';
constexpr char offset_kind = 'o';

void write_name(Writer& out, std::string_view name) {
  out.write<std::uint16_t>(static_cast<std::uint16_t>(name.size()));
  out.write_text(name);
}

std::string read_name(Reader& in) {
  const auto size = in.read<std::uint16_t>();
  return std::string(as_text(in.take(size)));
}

// In the layout of flexible Kafka messages, behind a byte that says which layout it is.
template <class Row>
Buffer encode(Row row) {
  Frame frame;
  Writer(frame.bytes).write<std::int8_t>(row_version);
  Encoder(frame, row_version, true).message(row);
  return std::move(frame.bytes);
}

template <class Row>
Result<Row> decode(std::string_view what, Bytes value) {
  if (value.empty()) return fail(Errc::malformed, "{} is empty", what);
  const auto version = std::to_integer<std::int8_t>(value[0]);
  if (version != row_version)
    return fail(Errc::unsupported, "{} has version {}; this hub knows {}", what, version,
                row_version);
  auto row = Decoder(value.subspan(1), version, true).message<Row>();
  if (!row) return std::unexpected(row.error().context(what));
  return row;
}

}  // namespace

std::string encode_key(const GroupRowKey& key) {
  Buffer bytes;
  Writer out(bytes);
  const bool of_group = key.topic.empty();
  out.write<std::int8_t>(of_group ? group_kind : offset_kind);
  write_name(out, key.group);
  if (!of_group) {
    write_name(out, key.topic);
    out.write<std::int32_t>(key.partition);
  }
  return std::string(as_text(bytes));
}

Result<GroupRowKey> decode_group_row_key(std::string_view key) {
  Reader in(as_bytes(key));
  const auto kind = in.read<std::int8_t>();
  GroupRowKey out{.group = read_name(in)};
  if (kind == offset_kind) {
    out.topic = read_name(in);
    out.partition = in.read<std::int32_t>();
  }
  const bool known = kind == group_kind || (kind == offset_kind && !out.topic.empty());
  if (!known || !in.ok() || in.left() > 0)
    return fail(Errc::malformed, "the key of a group's row can't be read");
  return out;
}

Buffer encode_row(const GroupRow& row) { return encode(row); }
Buffer encode_row(const OffsetRow& row) { return encode(row); }

Result<GroupRow> decode_group_row(Bytes value) {
  return decode<GroupRow>("the row of a group", value);
}

Result<OffsetRow> decode_offset_row(Bytes value) {
  return decode<OffsetRow>("the row of a committed offset", value);
}

}  // namespace sluice::kafka
