#pragma once

#include "kafka/error_code.h"
#include "kafka/wire.h"

namespace sluice::kafka {

struct DeleteRecordsRequest {
  static constexpr std::int64_t high_watermark = -1;

  struct Partition {
    std::int32_t index = 0;
    std::int64_t offset = 0;  // what lies before it goes

    void fields(auto& f) {
      f(index);
      f(offset);
    }
  };
  struct Topic {
    std::string_view name{};
    std::vector<Partition> partitions{};

    void fields(auto& f) {
      f(name);
      f(partitions);
    }
  };
  std::vector<Topic> topics{};
  std::int32_t timeout_ms = 0;

  void fields(auto& f) {
    f(topics);
    f(timeout_ms);
  }
};

struct DeleteRecordsResponse {
  struct Partition {
    std::int32_t index = 0;
    std::int64_t low_watermark = -1;
    ErrorCode error_code = ErrorCode::none;

    void fields(auto& f) {
      f(index);
      f(low_watermark);
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
  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics{};

  void fields(auto& f) {
    f(throttle_time_ms);
    f(topics);
  }
};

}  // namespace sluice::kafka
