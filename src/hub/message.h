#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "log/block.h"
#include "log/packed_header.h"

namespace sluice::hub {

// The properties that travel with a message between protocols. Views into the packet or record they
// came from. Mapping to record headers, both ways (docs/reference/mqtt-kafka.md):
//
//   content type            header `content-type`            UTF-8
//   response topic          header `response-topic`          UTF-8
//   correlation data        header `correlation-id`          bytes
//   payload format          header `payload-format`          "1": UTF-8 text, "0": bytes
//   user property (k, v)    header k                         UTF-8, in order, repeated names kept
//   message expiry          packed header `mqtt` (log/packed_header.h), as are QoS, retain,
//   publisher and QoS 2 evidence
//
// A user property whose name is one of these words, or `mqtt`, is written with the prefix
// `mqtt.user.` and comes back without it. Record headers whose name or value is not UTF-8 don't
// become user properties. What was not said is kept apart from what was said to be empty or 0.
struct Properties {
  std::optional<std::string_view> content_type;
  std::optional<std::string_view> response_topic;
  std::optional<Bytes> correlation_data;
  std::optional<bool> payload_is_utf8;
  std::vector<std::pair<std::string_view, std::string_view>> user;

  void clear();
  [[nodiscard]] bool empty() const;
};

struct Message {
  std::string_view topic;  // MQTT topic name
  Bytes payload{};
  std::uint8_t qos = 0;
  bool retain = false;
  std::uint64_t publisher = 0;
  std::optional<std::uint32_t> expiry_s{};
  std::optional<log::Qos2Evidence> qos2{};  // of a publish at QoS 2 by a session
  const Properties* properties = nullptr;   // none: nothing but payload
};

// The session that published a record; 0: not known.
std::uint64_t publisher_of(const log::Block& block, const log::Record& record);

// The record headers of a message, encoded into `out` (cleared first); returns their count.
std::uint32_t encode_headers(const Message& message, Buffer& out);

// Reads a record's headers back. `properties` is cleared first.
struct Decoded {
  std::optional<log::PackedHeader> packed;
};
Decoded decode_headers(const log::Block& block, const log::Record& record, Properties& properties);
// The same of `count` encoded headers.
Decoded decode_headers(Bytes headers, std::uint32_t count, Properties& properties);

}  // namespace sluice::hub
