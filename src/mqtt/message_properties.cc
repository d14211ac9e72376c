#include "mqtt/message_properties.h"

namespace sluice::mqtt {

Decoded<std::optional<std::uint16_t>> read_message_properties(PropertyBlock block,
                                                              hub::Message& message,
                                                              hub::Properties& scratch) {
  scratch.clear();
  Decoded<std::optional<std::uint16_t>> alias;
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
        if (alias) alias = static_cast<std::uint16_t>(property.number);
        break;
      case PropertyId::subscription_id:
        alias = std::unexpected(
            Refusal{Reason::protocol_error, "a client's PUBLISH has a subscription identifier"});
        break;
      default:
        break;  // will_delay: the session's to read
    }
  });
  if (!scratch.empty()) message.properties = &scratch;
  return alias;
}

}  // namespace sluice::mqtt
