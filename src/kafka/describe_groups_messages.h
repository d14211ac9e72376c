#pragma once

#include <limits>

#include "kafka/error_code.h"
#include "kafka/wire.h"

namespace sluice::kafka {

struct DescribeGroupsRequest {
  std::vector<std::string_view> groups{};
  bool include_authorized_operations = false;

  void fields(auto& f) {
    f(groups);
    f(include_authorized_operations, since(3));
  }
};

struct DescribeGroupsResponse {
  struct Member {
    std::string member_id{};
    std::optional<std::string> group_instance_id{};
    std::string client_id{};
    std::string client_host{};
    Buffer member_metadata{};
    Buffer member_assignment{};

    void fields(auto& f) {
      f(member_id);
      f(group_instance_id, since(4));
      f(client_id);
      f(client_host);
      f(member_metadata);
      f(member_assignment);
    }
  };
  struct Group {
    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> error_message{};
    std::string group_id{};
    std::string group_state{};
    std::string protocol_type{};
    std::string protocol_data{};
    std::vector<Member> members{};
    std::int32_t authorized_operations = std::numeric_limits<std::int32_t>::min();  // not known

    void fields(auto& f) {
      f(error_code);
      f(error_message, since(6));
      f(group_id);
      f(group_state);
      f(protocol_type);
      f(protocol_data);
      f(members);
      f(authorized_operations, since(3));
    }
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<Group> groups{};

  void fields(auto& f) {
    f(throttle_time_ms, since(1));
    f(groups);
  }
};

}  // namespace sluice::kafka
