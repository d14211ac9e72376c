// The first byte chooses the version, the rest is what a peer sends. Laws: a packet is cut out the
// same however much of it has arrived, and a PUBLISH that was accepted comes back the same when it
// is encoded.

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/property.h"

namespace sluice::mqtt {
namespace {

constexpr std::size_t size_max = 1 << 20;

void check(bool law) {
  if (!law) std::abort();
}

void check_prefixes(Bytes in, const Decoded<std::variant<NeedMore, Frame>>& whole,
                    Version version) {
  const auto* frame = whole ? std::get_if<Frame>(&*whole) : nullptr;
  const std::size_t end = frame ? frame->size : in.size();
  for (std::size_t n = 0; n < std::min<std::size_t>(end, 64); ++n) {
    const auto part = decode_frame(in.first(n), size_max, version);
    if (part) check(std::holds_alternative<NeedMore>(*part));
    if (!part) check(!whole && part.error().reason == whole.error().reason);
  }
}

void check_publish(const Frame& frame, Version version) {
  const auto publish = decode_publish(frame, version);
  if (!publish) return;
  const OutgoingPublish copy{.topic = publish->topic,
                             .payload = publish->payload,
                             .packet_id = publish->packet_id,
                             .qos = publish->qos,
                             .retain = publish->retain,
                             .dup = publish->dup,
                             .properties = publish->properties};
  Buffer wire;
  encode_publish(wire, version, copy, measure_publish(version, copy));
  const auto cut = decode_frame(wire, 2 * size_max, version);
  check(cut && std::holds_alternative<Frame>(*cut));
  const auto again = decode_publish(std::get<Frame>(*cut), version);
  check(again && again->topic == publish->topic && again->packet_id == publish->packet_id &&
        again->qos == publish->qos && again->retain == publish->retain &&
        again->dup == publish->dup && as_text(again->payload) == as_text(publish->payload) &&
        as_text(again->properties.bytes) == as_text(publish->properties.bytes));
}

// Properties that a decoder has let through can be read to their end.
template <class T>
void check_properties(const Decoded<T>& packet) {
  if (!packet) return;
  Reader reader(packet->properties.bytes);
  while (reader.left() > 0) read_property(reader);
  check(reader.ok());
}

void check_packet(const Frame& frame, Version version) {
  check_publish(frame, version);
  check_properties(decode_connect(frame.body));
  check_properties(decode_connack(frame.body, version));
  check_properties(decode_ack(frame.body, version));
  check_properties(decode_subscribe_ack(frame.body, version));
  check_properties(decode_unsubscribe_ack(frame.body, version));
  check_properties(decode_disconnect(frame.body, version));
  check_properties(decode_auth(frame.body, version));
  const auto subscribe = decode_subscribe(frame.body, version);
  check_properties(subscribe);
  std::uint32_t count = 0;
  if (subscribe) for_each_subscription(*subscribe, [&](const Subscription&) { ++count; });
  check(!subscribe || count == subscribe->count);
  const auto unsubscribe = decode_unsubscribe(frame.body, version);
  check_properties(unsubscribe);
}

}  // namespace
}  // namespace sluice::mqtt

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::mqtt;
  if (size == 0) return 0;
  const Version old = (data[0] & 4) != 0 ? Version::v3_1 : Version::v3_1_1;
  const Version version = (data[0] & 1) != 0 ? Version::v5 : old;
  const auto in = std::as_bytes(std::span(data + 1, size - 1));
  const auto whole = decode_frame(in, size_max, version);
  check_prefixes(in, whole, version);
  if (whole && std::holds_alternative<Frame>(*whole))
    check_packet(std::get<Frame>(*whole), version);
  return 0;
}
