#pragma once

#include "kafka/error_code.h"
#include "kafka/wire.h"

namespace sluice::kafka {

struct InitProducerIdRequest {
  std::optional<std::string_view> transactional_id{};
  std::int32_t transaction_timeout_ms = 0;
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = -1;

  void fields(auto& f) {
    f(transactional_id);
    f(transaction_timeout_ms);
    f(producer_id, since(3));
    f(producer_epoch, since(3));
  }
};

struct InitProducerIdResponse {
  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::none;
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = -1;

  void fields(auto& f) {
    f(throttle_time_ms);
    f(error_code);
    f(producer_id);
    f(producer_epoch);
  }
};

}  // namespace sluice::kafka
