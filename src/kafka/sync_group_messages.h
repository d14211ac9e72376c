#pragma once

#include "kafka/error_code.h"
#include "kafka/wire.h"

namespace sluice::kafka {

struct SyncGroupRequest {
  struct Assignment {
    std::string_view member_id{};
    Bytes assignment{};

    void fields(auto& f) {
      f(member_id);
      f(assignment);
    }
  };
  std::string_view group_id{};
  std::int32_t generation_id = -1;
  std::string_view member_id{};
  std::optional<std::string_view> group_instance_id{};
  std::optional<std::string_view> protocol_type{};  // null: not checked
  std::optional<std::string_view> protocol_name{};
  std::vector<Assignment> assignments{};  // from the leader only

  void fields(auto& f) {
    f(group_id);
    f(generation_id);
    f(member_id);
    f(group_instance_id, since(3));
    f(protocol_type, since(5));
    f(protocol_name, since(5));
    f(assignments);
  }
};

struct SyncGroupResponse {
  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::none;
  std::string protocol_type{};
  std::string protocol_name{};
  Buffer assignment{};

  void fields(auto& f) {
    f(throttle_time_ms, since(1));
    f(error_code);
    f(protocol_type, since(5));
    f(protocol_name, since(5));
    f(assignment);
  }
};

}  // namespace sluice::kafka
