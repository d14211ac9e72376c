#include "kafka/wire.h"

#include <algorithm>

namespace sluice::kafka {

namespace {
constexpr std::size_t text_size_max =
    32767;  // the length is an int16 in versions that are not flexible
constexpr std::size_t varint_bytes_max = 5;  // of an unsigned 32-bit number
}  // namespace

void skip_tagged_fields(Reader& reader) {
  const std::uint64_t count = reader.read_uvarint(varint_bytes_max);
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    reader.read_uvarint(varint_bytes_max);  // the tag
    reader.skip(reader.read_uvarint(varint_bytes_max));
  }
}

Result<void> Decoder::finish() const {
  if (fault_ != nullptr) return fail(Errc::malformed, "{}", fault_);
  if (!reader_.ok()) return fail(Errc::malformed, "it ends in the middle of a field");
  // Bytes behind the message are ignored, as Apache Kafka does: librdkafka (2.16) sends three with
  // a Metadata request of version 9 and up that asks for all topics.
  return {};
}

void Decoder::read(Uuid& value) {
  const Bytes bytes = reader_.take(value.bytes.size());
  std::ranges::copy(bytes, value.bytes.begin());
}

void Decoder::read(Bytes& value) {
  const std::int64_t size = read_size();
  if (size == -1) return set_failed("null in place of bytes");
  if (const auto bytes = take_nullable(size)) value = *bytes;
}

void Decoder::read(Buffer& value) {
  Bytes bytes;
  read(bytes);
  value.clear();
  append(value, bytes);
}

void Decoder::read(Records& value) {
  if (const auto bytes = take_nullable(read_size())) value.slices.push_back({*bytes, nullptr});
}

std::int64_t Decoder::read_text_size() {
  return flexible_ ? read_compact_size() : reader_.read<std::int16_t>();
}

std::int64_t Decoder::read_size() {
  return flexible_ ? read_compact_size() : reader_.read<std::int32_t>();
}

std::int64_t Decoder::read_compact_size() {
  return static_cast<std::int64_t>(reader_.read_uvarint(varint_bytes_max)) - 1;
}

std::optional<Bytes> Decoder::take(std::int64_t size) {
  if (size == -1) set_failed("null in place of a string");
  return take_nullable(size);
}

std::optional<Bytes> Decoder::take_nullable(std::int64_t size) {
  if (!reader_.ok() || size == -1) return std::nullopt;
  if (size < -1) {
    set_failed("a negative length");
    return std::nullopt;
  }
  return reader_.take(static_cast<std::size_t>(size));
}

bool Decoder::take_elements(std::int64_t count) {
  const auto wanted = static_cast<std::size_t>(count);
  if (wanted > reader_.left()) set_failed("an array is longer than the message");
  if (wanted > elements_left_) set_failed("too many array elements");
  if (!reader_.ok()) return false;
  elements_left_ -= wanted;
  return true;
}

void Decoder::set_failed(const char* fault) {
  if (reader_.ok()) fault_ = fault;
  reader_.set_failed();
}

void Encoder::write(std::string_view text) {
  text = text.substr(0, text_size_max);
  write_text_size(static_cast<std::int64_t>(text.size()));
  writer_.write_text(text);
}

void Encoder::write(Bytes bytes) {
  write_size(static_cast<std::int64_t>(bytes.size()));
  writer_.write_bytes(bytes);
}

void Encoder::write(Records& records) {
  std::size_t size = 0;
  for (const Slice& slice : records.slices) size += slice.bytes.size();
  write_size(static_cast<std::int64_t>(size));
  for (Slice& slice : records.slices) {
    if (slice.bytes.size() <= copied_max) {
      writer_.write_bytes(slice.bytes);
    } else {
      frame_.spliced_size += slice.bytes.size();
      frame_.splices.push_back({writer_.size(), std::move(slice)});
    }
  }
}

void Encoder::write_text_size(std::int64_t size) {
  if (flexible_) return write_size(size);
  writer_.write<std::int16_t>(static_cast<std::int16_t>(size));
}

void Encoder::write_size(std::int64_t size) {
  if (flexible_) {
    writer_.write_uvarint(static_cast<std::uint64_t>(size + 1));
  } else {
    writer_.write<std::int32_t>(static_cast<std::int32_t>(size));
  }
}

}  // namespace sluice::kafka
