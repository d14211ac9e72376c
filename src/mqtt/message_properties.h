#pragma once

#include <cstdint>
#include <optional>

#include "hub/message.h"
#include "mqtt/property.h"

namespace sluice::mqtt {

// Takes the properties of a PUBLISH or will from a client over into `message`; they are views into
// the packet, held by `scratch`. Returns the topic alias, if there is one. Refuses what only a
// server may send.
Decoded<std::optional<std::uint16_t>> read_message_properties(PropertyBlock block,
                                                              hub::Message& message,
                                                              hub::Properties& scratch);

}  // namespace sluice::mqtt
