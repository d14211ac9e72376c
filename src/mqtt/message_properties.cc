#include "mqtt/message_properties.h"

namespace sluice::mqtt {

Decoded<void> read_message_properties(PropertyBlock block, hub::Message& message,
                                      hub::Properties& scratch) {
  scratch.clear();
  Decoded<void> result;
  for_each_property(block, [&](const Property& property) {
    switch (property.id) {
      case PropertyId::payload_format:
        scratch.payload_is_utf8 = property.number == 1;
        break;
      case PropertyId::message_expiry:
        message.expiry_s = property.number;
        break;
      case PropertyId::content_type:
        scratch.content_type = property.text;
        break;
      case PropertyId::response_topic:
        scratch.response_topic = property.text;
        break;
      case PropertyId::correlation_data:
        scratch.correlation_data = property.data;
        break;
      case PropertyId::user_property:
        scratch.user.emplace_back(property.text, property.value);
        break;
      case PropertyId::topic_alias:
        result =
            std::unexpected(Refusal{Reason::topic_alias_invalid, "topic aliases are not offered"});
        break;
      case PropertyId::subscription_id:
        result = std::unexpected(
            Refusal{Reason::protocol_error, "a client's PUBLISH has a subscription identifier"});
        break;
      default:
        break;  // will_delay: wills are not delayed
    }
  });
  if (!scratch.empty()) message.properties = &scratch;
  return result;
}

}  // namespace sluice::mqtt
