#pragma once

#include "kafka/error_code.h"
#include "kafka/wire.h"

namespace sluice::kafka {

struct OffsetDeleteRequest {
  struct Partition {
    std::int32_t index = 0;

    void fields(auto& f) { f(index); }
  };
  struct Topic {
    std::string_view name{};
    std::vector<Partition> partitions{};

    void fields(auto& f) {
      f(name);
      f(partitions);
    }
  };
  std::string_view group_id{};
  std::vector<Topic> topics{};

  void fields(auto& f) {
    f(group_id);
    f(topics);
  }
};

struct OffsetDeleteResponse {
  struct Partition {
    std::int32_t index = 0;
    ErrorCode error_code = ErrorCode::none;

    void fields(auto& f) {
      f(index);
      f(error_code);
    }
  };
  struct Topic {
    std::string name{};
    std::vector<Partition> partitions{};

    void fields(auto& f) {
      f(name);
      f(partitions);
    }
  };
  ErrorCode error_code = ErrorCode::none;
  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics{};

  void fields(auto& f) {
    f(error_code);
    f(throttle_time_ms);
    f(topics);
  }
};

}  // namespace sluice::kafka
