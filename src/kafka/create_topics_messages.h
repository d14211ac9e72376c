#pragma once

#include "kafka/config_source.h"
#include "kafka/error_code.h"
#include "kafka/wire.h"

namespace sluice::kafka {

struct CreateTopicsRequest {
  struct Assignment {
    std::int32_t partition_index = 0;
    std::vector<std::int32_t> broker_ids{};

    void fields(auto& f) {
      f(partition_index);
      f(broker_ids);
    }
  };
  struct Config {
    std::string_view name{};
    std::optional<std::string_view> value{};

    void fields(auto& f) {
      f(name);
      f(value);
    }
  };
  struct Topic {
    std::string_view name{};
    std::int32_t num_partitions = -1;
    std::int16_t replication_factor = -1;
    std::vector<Assignment> assignments{};
    std::vector<Config> configs{};

    void fields(auto& f) {
      f(name);
      f(num_partitions);
      f(replication_factor);
      f(assignments);
      f(configs);
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

struct CreateTopicsResponse {
  struct Config {
    std::string name{};
    std::optional<std::string> value{};
    bool read_only = false;
    ConfigSource source = ConfigSource::built_in;
    bool is_sensitive = false;

    void fields(auto& f) {
      f(name);
      f(value);
      f(read_only);
      f(source);
      f(is_sensitive);
    }
  };
  struct Topic {
    std::string name{};
    Uuid topic_id{};
    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> error_message{};
    std::int32_t num_partitions = -1;
    std::int16_t replication_factor = -1;
    std::optional<std::vector<Config>> configs = std::vector<Config>();

    void fields(auto& f) {
      f(name);
      f(topic_id, since(7));
      f(error_code);
      f(error_message);
      f(num_partitions, since(5));
      f(replication_factor, since(5));
      f(configs, since(5));
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
