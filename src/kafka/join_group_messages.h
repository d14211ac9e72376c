#pragma once

#include "kafka/error_code.h"
#include "kafka/wire.h"

namespace sluice::kafka {

struct JoinGroupRequest {
  struct Protocol {
    std::string_view name{};
    Bytes metadata{};

    void fields(auto& f) {
      f(name);
      f(metadata);
    }
  };
  std::string_view group_id{};
  std::int32_t session_timeout_ms = 0;
  std::int32_t rebalance_timeout_ms = -1;               // -1: as the session timeout (version 0)
  std::string_view member_id{};                         // empty: a member that has none yet
  std::optional<std::string_view> group_instance_id{};  // of a static member (KIP-345)
  std::string_view protocol_type{};
  std::vector<Protocol> protocols{};  // the member's favourite first
  std::optional<std::string_view> reason{};

  void fields(auto& f) {
    f(group_id);
    f(session_timeout_ms);
    f(rebalance_timeout_ms, since(1));
    f(member_id);
    f(group_instance_id, since(5));
    f(protocol_type);
    f(protocols);
    f(reason, since(8));
  }
};

struct JoinGroupResponse {
  struct Member {
    std::string member_id{};
    std::optional<std::string> group_instance_id{};
    Buffer metadata{};

    void fields(auto& f) {
      f(member_id);
      f(group_instance_id, since(5));
      f(metadata);
    }
  };
  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::none;
  std::int32_t generation_id = -1;
  std::string protocol_type{};
  std::string protocol_name{};
  std::string leader{};
  bool skip_assignment = false;
  std::string member_id{};
  std::vector<Member> members{};  // for the leader only

  void fields(auto& f) {
    f(throttle_time_ms, since(2));
    f(error_code);
    f(generation_id);
    f(protocol_type, since(7));
    f(protocol_name);
    f(leader);
    f(skip_assignment, since(9));
    f(member_id);
    f(members);
  }
};

}  // namespace sluice::kafka
