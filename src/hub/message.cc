#include "hub/message.h"

#include <algorithm>
#include <array>

#include "base/utf8.h"
#include "log/record_batch.h"

namespace sluice::hub {

namespace {

constexpr std::string_view content_type_name = "content-type";
constexpr std::string_view response_topic_name = "response-topic";
constexpr std::string_view correlation_name = "correlation-id";
constexpr std::string_view payload_format_name = "payload-format";
constexpr std::string_view user_prefix = "mqtt.user.";

bool is_reserved(std::string_view name) {
  constexpr std::array words = {content_type_name, response_topic_name, correlation_name,
                                payload_format_name, log::PackedHeader::name};
  return std::ranges::find(words, name) != words.end() || name.starts_with(user_prefix);
}

// What every message has, without the generic encoder: one or two dozen bytes per message on the
// hot path.
void append_packed(const Message& message, Buffer& out) {
  std::array<std::byte, log::packed_header_size_max> value;
  const log::PackedHeader packed{.qos = message.qos,
                                 .retain = message.retain,
                                 .publisher = message.publisher,
                                 .expiry_s = message.expiry_s,
                                 .qos2 = message.qos2};
  const std::size_t size = log::encode_packed_header(packed, value.data());
  constexpr std::string_view name = log::PackedHeader::name;
  static_assert(name.size() < 64 && log::packed_header_size_max < 64, "both varints are one byte");
  const std::size_t at = out.size();
  out.resize(at + 1 + name.size() + 1 + size);
  std::byte* to = out.data() + at;
  *to++ = static_cast<std::byte>(name.size() << 1);
  to = std::ranges::copy(as_bytes(name), to).out;
  *to++ = static_cast<std::byte>(size << 1);
  std::copy_n(value.data(), size, to);
}

std::uint32_t append_properties(const Properties& properties, Buffer& out) {
  std::uint32_t count = 0;
  const auto append = [&](std::string_view name, Bytes value) {
    log::append_header(out, name, value);
    ++count;
  };
  if (properties.content_type) append(content_type_name, as_bytes(*properties.content_type));
  if (properties.response_topic) append(response_topic_name, as_bytes(*properties.response_topic));
  if (properties.correlation_data) append(correlation_name, *properties.correlation_data);
  if (properties.payload_is_utf8)
    append(payload_format_name, as_bytes(*properties.payload_is_utf8 ? "1" : "0"));
  std::string prefixed;
  for (const auto& [name, value] : properties.user) {
    if (is_reserved(name)) {
      prefixed.assign(user_prefix).append(name);
      append(prefixed, as_bytes(value));
    } else {
      append(name, as_bytes(value));
    }
  }
  return count;
}

bool is_mqtt_string(std::string_view text) {
  return text.size() <= 0xffff && text.find('\0') == std::string_view::npos && is_valid_utf8(text);
}

void read_property(std::string_view name, Bytes value, Properties& properties) {
  const std::string_view text = as_text(value);
  if (name == correlation_name) {
    if (value.size() <= 0xffff) properties.correlation_data = value;
    return;
  }
  if (!is_mqtt_string(text)) return;
  if (name == content_type_name) {
    properties.content_type = text;
  } else if (name == response_topic_name) {
    if (text.find_first_of("+#") == std::string_view::npos) properties.response_topic = text;
  } else if (name == payload_format_name) {
    if (text == "1" || text == "0") properties.payload_is_utf8 = text == "1";
  } else {
    if (name.starts_with(user_prefix)) name.remove_prefix(user_prefix.size());
    if (is_mqtt_string(name)) properties.user.emplace_back(name, text);
  }
}

}  // namespace

void Properties::clear() {
  content_type.reset();
  response_topic.reset();
  correlation_data.reset();
  payload_is_utf8.reset();
  user.clear();
}

bool Properties::empty() const {
  return !content_type && !response_topic && !correlation_data && !payload_is_utf8 && user.empty();
}

std::uint64_t publisher_of(const log::Block& block, const log::Record& record) {
  std::uint64_t publisher = 0;
  log::for_each_header(block, record, [&](const log::RecordHeader& header) {
    if (header.name != log::PackedHeader::name) return;
    if (const auto packed = log::decode_packed_header(header.value)) publisher = packed->publisher;
  });
  return publisher;
}

std::uint32_t encode_headers(const Message& message, Buffer& out) {
  out.clear();
  append_packed(message, out);
  return 1 + (message.properties ? append_properties(*message.properties, out) : 0);
}

Decoded decode_headers(const log::Block& block, const log::Record& record, Properties& properties) {
  return decode_headers(block.content().subspan(record.headers_at), record.headers_count,
                        properties);
}

Decoded decode_headers(Bytes headers, std::uint32_t count, Properties& properties) {
  properties.clear();
  Decoded decoded;
  Reader reader(headers);
  log::for_each_header(reader, count, [&](const log::RecordHeader& header) {
    if (header.name == log::PackedHeader::name)
      decoded.packed = log::decode_packed_header(header.value);
    else
      read_property(header.name, header.value, properties);
  });
  return decoded;
}

}  // namespace sluice::hub
