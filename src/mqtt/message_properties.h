#pragma once

#include "hub/message.h"
#include "mqtt/property.h"

namespace sluice::mqtt {

// Takes the properties of a PUBLISH or will from a client over into `message`; they are views into
// the packet, held by `scratch`. Refuses those that only a server may send, or that are not
// offered.
Decoded<void> read_message_properties(PropertyBlock block, hub::Message& message,
                                      hub::Properties& scratch);

}  // namespace sluice::mqtt
