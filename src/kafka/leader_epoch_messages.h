#pragma once

#include "kafka/error_code.h"
#include "kafka/wire.h"

namespace sluice::kafka {

struct OffsetForLeaderEpochRequest {
  struct Partition {
    std::int32_t index = 0;
    std::int32_t current_leader_epoch = -1;  // -1: not to be checked
    std::int32_t leader_epoch = -1;          // whose end is asked for

    void fields(auto& f) {
      f(index);
      f(current_leader_epoch);
      f(leader_epoch);
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
  std::int32_t replica_id = -1;  // -1: a consumer
  std::vector<Topic> topics{};

  void fields(auto& f) {
    f(replica_id, since(3));
    f(topics);
  }
};

struct OffsetForLeaderEpochResponse {
  struct Partition {
    ErrorCode error_code = ErrorCode::none;
    std::int32_t index = 0;
    std::int32_t leader_epoch = -1;
    std::int64_t end_offset = -1;

    void fields(auto& f) {
      f(error_code);
      f(index);
      f(leader_epoch);
      f(end_offset);
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
