#pragma once

#include <cstdint>

#include "base/result.h"
#include "mqtt/packet.h"

namespace sluice::mqtt {

// What a publish is answered with: PUBACK or PUBREC at QoS 1 and 2.
enum class PublishAnswer : std::uint8_t {
  positive,
  topic_reserved,
  topic_invalid,
  not_authorized,
  payload_format_invalid,
  disk_full,
  too_large,
  rate_exceeded,
  delay_invalid,
  delayed_full,
  not_stored,
};

PublishAnswer answer_of(const Error& error);
// Its reason code, and the text for a Reason String; positive: success, and no text.
Refusal to_refusal(PublishAnswer answer);

}  // namespace sluice::mqtt
