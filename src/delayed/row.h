#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "hub/message.h"

namespace sluice::delayed {

// What the table `__delayed` holds (docs/formats/delayed.md): a row per message that waits.

// A message as it will be published. Views into the row that it came from.
struct Row {
  std::string_view topic;
  std::uint32_t headers_count = 0;
  Bytes headers;  // as those of a record, the packed one among them
  Bytes payload;
};

// Without the evidence of QoS 2: that is of the publish that brought it, which is over.
Buffer encode_row(const hub::Message& message);
Result<Row> decode_row(Bytes bytes);  // Errc::malformed
// `properties` is cleared first, and filled with what the message refers to.
hub::Message message_of(const Row& row, hub::Properties& properties);

// Keys have the order in which messages are due; `id` tells those of one moment apart.
std::string key_of(WallMs due, std::uint64_t id);
WallMs due_of(std::string_view key);  // of no key of ours: 0
std::uint64_t id_of(std::string_view key);

}  // namespace sluice::delayed
