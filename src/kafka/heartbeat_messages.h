#pragma once

#include "kafka/error_code.h"
#include "kafka/wire.h"

namespace sluice::kafka {

struct HeartbeatRequest {
  std::string_view group_id{};
  std::int32_t generation_id = -1;
  std::string_view member_id{};
  std::optional<std::string_view> group_instance_id{};

  void fields(auto& f) {
    f(group_id);
    f(generation_id);
    f(member_id);
    f(group_instance_id, since(3));
  }
};

struct HeartbeatResponse {
  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::none;

  void fields(auto& f) {
    f(throttle_time_ms, since(1));
    f(error_code);
  }
};

}  // namespace sluice::kafka
