#pragma once

#include "kafka/error_code.h"
#include "kafka/wire.h"

namespace sluice::kafka {

struct CreatePartitionsRequest {
  struct Assignment {
    std::vector<std::int32_t> broker_ids{};

    void fields(auto& f) { f(broker_ids); }
  };
  struct Topic {
    std::string_view name{};
    std::int32_t count = 0;                                // of all partitions, old and new
    std::optional<std::vector<Assignment>> assignments{};  // of each new one

    void fields(auto& f) {
      f(name);
      f(count);
      f(assignments);
    }
  };
  std::vector<Topic> topics{};
  std::int32_t timeout_ms = 0;
  bool validate_only = false;

  void fields(auto& f) {
    f(topics);
    f(timeout_ms);
    f(validate_only);
  }
};

struct CreatePartitionsResponse {
  struct Topic {
    std::string name{};
    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> error_message{};

    void fields(auto& f) {
      f(name);
      f(error_code);
      f(error_message);
    }
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> results{};

  void fields(auto& f) {
    f(throttle_time_ms);
    f(results);
  }
};

}  // namespace sluice::kafka
