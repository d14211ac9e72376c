#pragma once

#include "kafka/error_code.h"
#include "kafka/wire.h"

namespace sluice::kafka {

struct ProduceRequest {
  struct Partition {
    std::int32_t index = 0;
    std::optional<Bytes> records{};

    void fields(auto& f) {
      f(index);
      f(records);
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
  std::optional<std::string_view> transactional_id{};
  std::int16_t acks = 0;
  std::int32_t timeout_ms = 0;
  std::vector<Topic> topics{};

  void fields(auto& f) {
    f(transactional_id, since(3));
    f(acks);
    f(timeout_ms);
    f(topics);
  }
};

struct ProduceResponse {
  struct RecordError {
    std::int32_t batch_index = 0;
    std::optional<std::string> message{};

    void fields(auto& f) {
      f(batch_index);
      f(message);
    }
  };
  struct Partition {
    std::int32_t index = 0;
    ErrorCode error_code = ErrorCode::none;
    std::int64_t base_offset = -1;
    std::int64_t log_append_time_ms =
        -1;                              // -1: records keep the time that their producer gave them
    std::int64_t log_start_offset = -1;  // -1: not told
    std::vector<RecordError> record_errors{};
    std::optional<std::string> error_message{};

    void fields(auto& f) {
      f(index);
      f(error_code);
      f(base_offset);
      f(log_append_time_ms, since(2));
      f(log_start_offset, since(5));
      f(record_errors, since(8));
      f(error_message, since(8));
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
  std::vector<Topic> topics{};
  std::int32_t throttle_time_ms = 0;

  void fields(auto& f) {
    f(topics);
    f(throttle_time_ms, since(1));
  }
};

}  // namespace sluice::kafka
