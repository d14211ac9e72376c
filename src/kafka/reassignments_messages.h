#pragma once

#include "kafka/error_code.h"
#include "kafka/wire.h"

namespace sluice::kafka {

struct ListPartitionReassignmentsRequest {
  struct Topic {
    std::string_view name{};
    std::vector<std::int32_t> partition_indexes{};

    void fields(auto& f) {
      f(name);
      f(partition_indexes);
    }
  };
  std::int32_t timeout_ms = 0;
  std::optional<std::vector<Topic>> topics{};  // null: all

  void fields(auto& f) {
    f(timeout_ms);
    f(topics);
  }
};

struct ListPartitionReassignmentsResponse {
  struct Topic {
    std::string name{};

    void fields(auto& f) { f(name); }
  };
  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::none;
  std::optional<std::string> error_message{};
  std::vector<Topic> topics{};  // always empty: with one broker no partition ever moves

  void fields(auto& f) {
    f(throttle_time_ms);
    f(error_code);
    f(error_message);
    f(topics);
  }
};

}  // namespace sluice::kafka
