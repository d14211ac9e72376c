#pragma once

#include "kafka/error_code.h"
#include "kafka/wire.h"

namespace sluice::kafka {

struct ListOffsetsRequest {
  // Values of Partition::timestamp that are no time.
  static constexpr std::int64_t latest = -1;
  static constexpr std::int64_t earliest = -2;
  static constexpr std::int64_t max_timestamp = -3;  // version 7 on (KIP-734)

  struct Partition {
    std::int32_t index = 0;
    std::int32_t current_leader_epoch = -1;
    std::int64_t timestamp = 0;

    void fields(auto& f) {
      f(index);
      f(current_leader_epoch, since(4));
      f(timestamp);
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
  std::int32_t replica_id = -1;
  std::int8_t isolation_level = 0;
  std::vector<Topic> topics{};

  void fields(auto& f) {
    f(replica_id);
    f(isolation_level, since(2));
    f(topics);
  }
};

struct ListOffsetsResponse {
  struct Partition {
    std::int32_t index = 0;
    ErrorCode error_code = ErrorCode::none;
    std::int64_t timestamp = -1;
    std::int64_t offset = -1;
    std::int32_t leader_epoch = -1;

    void fields(auto& f) {
      f(index);
      f(error_code);
      f(timestamp);
      f(offset);
      f(leader_epoch, since(4));
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
    f(throttle_time_ms, since(2));
    f(topics);
  }
};

}  // namespace sluice::kafka
