#pragma once

#include <cstddef>
#include <optional>
#include <variant>

#include "mqtt/packet.h"
#include "mqtt/variable_integer.h"

namespace sluice::mqtt {

// From bytes to packets: pure, without allocation, for both ends and all versions. First
// decode_frame() cuts a packet out of what has arrived, then the decoder of its type takes the body
// apart. Refused are malformed packets and those that break the protocol by themselves; what
// depends on a connection's state is the session's to judge.

// Cuts the first packet off `in`. Refuses reserved types and flags, and packets of more than
// `size_max` bytes, as soon as their fixed header says so (2.1). MQTT 3.1 has DUP in more packets.
Decoded<std::variant<NeedMore, Frame>> decode_frame(Bytes in, std::size_t size_max,
                                                    Version version = Version::v3_1_1);

// MQTT 5 wants the remaining length to be as short as it can be ([MQTT-1.5.5-1]), 3.1.1 does not.
inline bool has_shortest_length(const Frame& frame) {
  return frame.size - frame.body.size() == 1 + variable_integer_size(frame.body.size());
}
inline constexpr Refusal length_not_shortest{Reason::malformed,
                                             "the remaining length takes more bytes than it needs"};

Decoded<Connect> decode_connect(Bytes body);
// The version that a CONNECT asks for, even if the rest of it is refused; nothing if it is none
// that is spoken here.
std::optional<Version> version_of_connect(Bytes body);

Decoded<Connack> decode_connack(Bytes body, Version version);
Decoded<Publish> decode_publish(const Frame& frame, Version version);
Decoded<Ack> decode_ack(Bytes body, Version version);
Decoded<Subscribe> decode_subscribe(Bytes body, Version version);
Decoded<SubscribeAck> decode_subscribe_ack(Bytes body, Version version);
Decoded<Unsubscribe> decode_unsubscribe(Bytes body, Version version);
Decoded<SubscribeAck> decode_unsubscribe_ack(Bytes body, Version version);
Decoded<Disconnect> decode_disconnect(Bytes body, Version version);
Decoded<Auth> decode_auth(Bytes body, Version version);
// PINGREQ, PINGRESP.
Decoded<void> decode_empty(Bytes body);

}  // namespace sluice::mqtt
