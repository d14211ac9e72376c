#include "mqtt/publish_answer.h"

namespace sluice::mqtt {

PublishAnswer answer_of(const Error& error) {
  switch (error.code) {
    case Errc::invalid:
      return PublishAnswer::topic_invalid;
    case Errc::disk_full:
      return PublishAnswer::disk_full;
    case Errc::too_large:
      return PublishAnswer::too_large;
    case Errc::out_of_range:
      return PublishAnswer::delayed_full;
    case Errc::unauthorized:
      return PublishAnswer::not_authorized;
    default:
      return PublishAnswer::not_stored;
  }
}

Refusal to_refusal(PublishAnswer answer) {
  switch (answer) {
    case PublishAnswer::positive:
      return {Reason::success, ""};
    case PublishAnswer::topic_reserved:
      return {Reason::topic_name_invalid, "topics that begin with '$' are reserved"};
    case PublishAnswer::topic_invalid:
      return {Reason::topic_name_invalid, "no stream takes this topic"};
    case PublishAnswer::not_authorized:
      return {Reason::not_authorized, "publishing to this topic is not permitted"};
    case PublishAnswer::payload_format_invalid:
      return {Reason::payload_format_invalid,
              "the payload is not UTF-8, which its payload format indicator says it is"};
    case PublishAnswer::disk_full:
      return {Reason::quota_exceeded, "the disk of the hub is full"};
    case PublishAnswer::too_large:
      return {Reason::quota_exceeded, "the message is larger than its stream takes"};
    case PublishAnswer::rate_exceeded:
      return {Reason::quota_exceeded, "more is published than the rates allow"};
    case PublishAnswer::delay_invalid:
      return {Reason::topic_name_invalid,
              "what follows $delayed is no number of seconds within mqtt.delay_max and a topic"};
    case PublishAnswer::delayed_full:
      return {Reason::quota_exceeded, "as many delayed messages wait as mqtt.delayed_max allows"};
    case PublishAnswer::not_stored:
      break;
  }
  return {Reason::implementation_specific, "the hub could not store it; the hub's log says why"};
}

}  // namespace sluice::mqtt
