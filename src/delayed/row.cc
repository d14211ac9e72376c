#include "delayed/row.h"

#include <array>

#include "topic/topic.h"

namespace sluice::delayed {

namespace {

constexpr std::uint8_t format = 1;
constexpr std::size_t key_size = 16;

}  // namespace

Buffer encode_row(const hub::Message& message) {
  hub::Message kept = message;
  kept.qos2.reset();
  Buffer headers;
  const std::uint32_t headers_count = hub::encode_headers(kept, headers);
  Buffer out;
  out.reserve(16 + message.topic.size() + headers.size() + message.payload.size());
  Writer writer(out);
  writer.write<std::uint8_t>(format);
  writer.write_uvarint(message.topic.size());
  writer.write_bytes(as_bytes(message.topic));
  writer.write_uvarint(headers_count);
  writer.write_uvarint(headers.size());
  writer.write_bytes(headers);
  writer.write_bytes(message.payload);
  return out;
}

Result<Row> decode_row(Bytes bytes) {
  Reader reader(bytes);
  Row row;
  const auto found = reader.read<std::uint8_t>();
  row.topic = as_text(reader.take(reader.read_uvarint(5)));
  const auto count = reader.read_uvarint(5);
  row.headers = reader.take(reader.read_uvarint(5));
  if (!reader.ok() || found != format || count > row.headers.size() ||
      !topic::validate_topic_name(row.topic))
    return fail(Errc::malformed, "a row of {} bytes is none of a delayed message", bytes.size());
  row.headers_count = static_cast<std::uint32_t>(count);
  row.payload = reader.rest();
  return row;
}

hub::Message message_of(const Row& row, hub::Properties& properties) {
  const auto decoded = hub::decode_headers(row.headers, row.headers_count, properties);
  hub::Message message{.topic = row.topic, .payload = row.payload};
  if (decoded.packed) {
    message.qos = decoded.packed->qos;
    message.retain = decoded.packed->retain;
    message.publisher = decoded.packed->publisher;
    message.expiry_s = decoded.packed->expiry_s;
  }
  if (!properties.empty()) message.properties = &properties;
  return message;
}

std::string key_of(WallMs due, std::uint64_t id) {
  std::array<std::byte, key_size> key;
  store_be<std::uint64_t>(key.data(), static_cast<std::uint64_t>(due));
  store_be<std::uint64_t>(key.data() + 8, id);
  return std::string(as_text(Bytes(key)));
}

WallMs due_of(std::string_view key) {
  if (key.size() != key_size) return 0;
  return static_cast<WallMs>(load_be<std::uint64_t>(as_bytes(key).data()));
}

std::uint64_t id_of(std::string_view key) {
  return key.size() == key_size ? load_be<std::uint64_t>(as_bytes(key).data() + 8) : 0;
}

}  // namespace sluice::delayed
