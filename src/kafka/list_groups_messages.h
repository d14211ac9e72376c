#pragma once

#include "kafka/error_code.h"
#include "kafka/wire.h"

namespace sluice::kafka {

struct ListGroupsRequest {
  std::vector<std::string_view> states_filter{};  // empty: all
  std::vector<std::string_view> types_filter{};

  void fields(auto& f) {
    f(states_filter, since(4));
    f(types_filter, since(5));
  }
};

struct ListGroupsResponse {
  struct Group {
    std::string group_id{};
    std::string protocol_type{};
    std::string group_state{};
    std::string group_type{};

    void fields(auto& f) {
      f(group_id);
      f(protocol_type);
      f(group_state, since(4));
      f(group_type, since(5));
    }
  };
  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::none;
  std::vector<Group> groups{};

  void fields(auto& f) {
    f(throttle_time_ms, since(1));
    f(error_code);
    f(groups);
  }
};

}  // namespace sluice::kafka
