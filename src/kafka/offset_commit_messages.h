#pragma once

#include "kafka/error_code.h"
#include "kafka/wire.h"

namespace sluice::kafka {

struct OffsetCommitRequest {
  struct Partition {
    std::int32_t index = 0;
    std::int64_t committed_offset = -1;
    std::int32_t committed_leader_epoch = -1;
    std::optional<std::string_view> committed_metadata{};

    void fields(auto& f) {
      f(index);
      f(committed_offset);
      f(committed_leader_epoch, since(6));
      f(committed_metadata);
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
  std::string_view group_id{};
  std::int32_t generation_id = -1;
  std::string_view member_id{};
  std::optional<std::string_view> group_instance_id{};
  std::int64_t retention_time_ms = -1;  // ignored: offsets live as long as the hub says
  std::vector<Topic> topics{};

  void fields(auto& f) {
    f(group_id);
    f(generation_id);
    f(member_id);
    f(group_instance_id, since(7));
    f(retention_time_ms, until(4));
    f(topics);
  }
};

struct OffsetCommitResponse {
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
  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics{};

  void fields(auto& f) {
    f(throttle_time_ms, since(3));
    f(topics);
  }
};

}  // namespace sluice::kafka
