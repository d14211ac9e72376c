#include "kafka/error_code.h"

namespace sluice::kafka {

ErrorCode to_error_code(Errc code) {
  switch (code) {
    case Errc::malformed:
    case Errc::invalid:
      return ErrorCode::invalid_request;
    case Errc::too_large:
      return ErrorCode::message_too_large;
    case Errc::unsupported:
      return ErrorCode::unsupported_version;
    case Errc::not_found:
      return ErrorCode::unknown_topic_or_partition;
    case Errc::exists:
      return ErrorCode::topic_already_exists;
    case Errc::busy:
      return ErrorCode::request_timed_out;
    case Errc::out_of_range:
      return ErrorCode::offset_out_of_range;
    case Errc::disk_full:
    case Errc::io:
    case Errc::corrupt:
      return ErrorCode::kafka_storage_error;
    case Errc::closed:
      return ErrorCode::not_leader_or_follower;
    case Errc::unauthorized:
      return ErrorCode::topic_authorization_failed;
    case Errc::duplicate:
      return ErrorCode::duplicate_sequence_number;
    case Errc::sequence_gap:
      return ErrorCode::out_of_order_sequence_number;
    case Errc::producer_fenced:
      return ErrorCode::invalid_producer_epoch;
  }
  return ErrorCode::unknown_server_error;
}

}  // namespace sluice::kafka
