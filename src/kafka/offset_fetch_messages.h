#pragma once

#include "kafka/error_code.h"
#include "kafka/wire.h"

namespace sluice::kafka {

struct OffsetFetchRequest {
  struct Topic {
    std::string_view name{};
    std::vector<std::int32_t> partition_indexes{};

    void fields(auto& f) {
      f(name);
      f(partition_indexes);
    }
  };
  struct Group {
    std::string_view group_id{};
    std::optional<std::string_view> member_id{};
    std::int32_t member_epoch = -1;
    std::optional<std::vector<Topic>> topics{};  // null: all that the group has offsets for

    void fields(auto& f) {
      f(group_id);
      f(member_id, since(9));
      f(member_epoch, since(9));
      f(topics);
    }
  };
  std::string_view group_id{};
  std::optional<std::vector<Topic>> topics{};
  std::vector<Group> groups{};
  bool require_stable = false;

  void fields(auto& f) {
    f(group_id, until(7));
    f(topics, until(7));
    f(groups, since(8));
    f(require_stable, since(7));
  }
};

struct OffsetFetchResponse {
  struct Partition {
    std::int32_t index = 0;
    std::int64_t committed_offset = -1;  // -1: none was committed
    std::int32_t committed_leader_epoch = -1;
    std::optional<std::string> metadata = "";
    ErrorCode error_code = ErrorCode::none;

    void fields(auto& f) {
      f(index);
      f(committed_offset);
      f(committed_leader_epoch, since(5));
      f(metadata);
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
  struct Group {
    std::string group_id{};
    std::vector<Topic> topics{};
    ErrorCode error_code = ErrorCode::none;

    void fields(auto& f) {
      f(group_id);
      f(topics);
      f(error_code);
    }
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics{};
  ErrorCode error_code = ErrorCode::none;
  std::vector<Group> groups{};

  void fields(auto& f) {
    f(throttle_time_ms, since(3));
    f(topics, until(7));
    f(error_code, between(2, 7));
    f(groups, since(8));
  }
};

}  // namespace sluice::kafka
