#pragma once

#include "kafka/error_code.h"
#include "kafka/wire.h"

namespace sluice::kafka {

struct FetchRequest {
  struct Partition {
    std::int32_t index = 0;
    std::int32_t current_leader_epoch = -1;
    std::int64_t fetch_offset = 0;
    std::int32_t last_fetched_epoch = -1;
    std::int64_t log_start_offset = -1;
    std::int32_t partition_max_bytes = 0;

    void fields(auto& f) {
      f(index);
      f(current_leader_epoch, since(9));
      f(fetch_offset);
      f(last_fetched_epoch, since(12));
      f(log_start_offset, since(5));
      f(partition_max_bytes);
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
  struct ForgottenTopic {
    std::string_view name{};
    std::vector<std::int32_t> partitions{};

    void fields(auto& f) {
      f(name);
      f(partitions);
    }
  };
  std::int32_t replica_id = -1;
  std::int32_t max_wait_ms = 0;
  std::int32_t min_bytes = 0;
  std::int32_t max_bytes = std::numeric_limits<std::int32_t>::max();
  std::int8_t isolation_level = 0;
  std::int32_t session_id = 0;
  std::int32_t session_epoch = -1;
  std::vector<Topic> topics{};
  std::vector<ForgottenTopic> forgotten_topics{};
  std::string_view rack_id{};

  void fields(auto& f) {
    f(replica_id);
    f(max_wait_ms);
    f(min_bytes);
    f(max_bytes, since(3));
    f(isolation_level, since(4));
    f(session_id, since(7));
    f(session_epoch, since(7));
    f(topics);
    f(forgotten_topics, since(7));
    f(rack_id, since(11));
  }
};

struct FetchResponse {
  struct AbortedTransaction {
    std::int64_t producer_id = 0;
    std::int64_t first_offset = 0;

    void fields(auto& f) {
      f(producer_id);
      f(first_offset);
    }
  };
  struct Partition {
    std::int32_t index = 0;
    ErrorCode error_code = ErrorCode::none;
    std::int64_t high_watermark = -1;
    std::int64_t last_stable_offset = -1;
    std::int64_t log_start_offset = -1;
    std::optional<std::vector<AbortedTransaction>>
        aborted_transactions{};  // null: reads uncommitted
    std::int32_t preferred_read_replica = -1;
    Records records{};

    void fields(auto& f) {
      f(index);
      f(error_code);
      f(high_watermark);
      f(last_stable_offset, since(4));
      f(log_start_offset, since(5));
      f(aborted_transactions, since(4));
      f(preferred_read_replica, since(11));
      f(records);
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
  ErrorCode error_code = ErrorCode::none;
  std::int32_t session_id =
      0;  // 0: no session (KIP-227); the client names all partitions each time
  std::vector<Topic> topics{};

  void fields(auto& f) {
    f(throttle_time_ms, since(1));
    f(error_code, since(7));
    f(session_id, since(7));
    f(topics);
  }
};

}  // namespace sluice::kafka
