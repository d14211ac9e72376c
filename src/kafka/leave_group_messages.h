#pragma once

#include "kafka/error_code.h"
#include "kafka/wire.h"

namespace sluice::kafka {

struct LeaveGroupRequest {
  struct Member {
    std::string_view member_id{};  // empty: the static member of that instance id
    std::optional<std::string_view> group_instance_id{};
    std::optional<std::string_view> reason{};

    void fields(auto& f) {
      f(member_id);
      f(group_instance_id);
      f(reason, since(5));
    }
  };
  std::string_view group_id{};
  std::string_view member_id{};
  std::vector<Member> members{};

  void fields(auto& f) {
    f(group_id);
    f(member_id, until(2));
    f(members, since(3));
  }
};

struct LeaveGroupResponse {
  struct Member {
    std::string member_id{};
    std::optional<std::string> group_instance_id{};
    ErrorCode error_code = ErrorCode::none;

    void fields(auto& f) {
      f(member_id);
      f(group_instance_id);
      f(error_code);
    }
  };
  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::none;
  std::vector<Member> members{};

  void fields(auto& f) {
    f(throttle_time_ms, since(1));
    f(error_code);
    f(members, since(3));
  }
};

}  // namespace sluice::kafka
