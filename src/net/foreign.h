#pragma once

#include <string_view>

#include "base/bytes.h"

namespace sluice::net {

// What a client that came to the wrong port seems to speak, by the first bytes it sent: "TLS",
// "HTTP", "MQTT", or "" if nothing speaks for any of them. For messages to people only.
std::string_view foreign_protocol(Bytes first);

}  // namespace sluice::net
