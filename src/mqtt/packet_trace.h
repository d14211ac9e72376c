#pragma once

#include "base/json.h"
#include "mqtt/packet.h"

namespace sluice::mqtt {

// What traces show of a packet, as members of `line`: its name, its size, and what is in it but for
// payloads and passwords. Of one that cannot be decoded, name and size alone.
void describe_packet(const Frame& frame, Version version, JsonObject& line);

}  // namespace sluice::mqtt
