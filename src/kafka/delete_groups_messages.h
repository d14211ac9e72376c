#pragma once

#include "kafka/error_code.h"
#include "kafka/wire.h"

namespace sluice::kafka {

struct DeleteGroupsRequest {
  std::vector<std::string_view> groups_names{};

  void fields(auto& f) { f(groups_names); }
};

struct DeleteGroupsResponse {
  struct Result {
    std::string group_id{};
    ErrorCode error_code = ErrorCode::none;

    void fields(auto& f) {
      f(group_id);
      f(error_code);
    }
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<Result> results{};

  void fields(auto& f) {
    f(throttle_time_ms);
    f(results);
  }
};

}  // namespace sluice::kafka
