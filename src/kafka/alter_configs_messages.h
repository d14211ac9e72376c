#pragma once

#include "kafka/error_code.h"
#include "kafka/wire.h"

namespace sluice::kafka {

// org.apache.kafka.clients.admin.AlterConfigOp.OpType
enum class ConfigOperation : std::int8_t { set = 0, remove = 1, append = 2, subtract = 3 };

struct IncrementalAlterConfigsRequest {
  struct Config {
    std::string_view name{};
    ConfigOperation operation = ConfigOperation::set;
    std::optional<std::string_view> value{};

    void fields(auto& f) {
      f(name);
      f(operation);
      f(value);
    }
  };
  struct Resource {
    std::int8_t type = 0;
    std::string_view name{};
    std::vector<Config> configs{};

    void fields(auto& f) {
      f(type);
      f(name);
      f(configs);
    }
  };
  std::vector<Resource> resources{};
  bool validate_only = false;

  void fields(auto& f) {
    f(resources);
    f(validate_only);
  }
};

struct AlterConfigsRequest {
  struct Config {
    std::string_view name{};
    std::optional<std::string_view> value{};

    void fields(auto& f) {
      f(name);
      f(value);
    }
  };
  struct Resource {
    std::int8_t type = 0;
    std::string_view name{};
    std::vector<Config> configs{};  // all that shall differ from the defaults

    void fields(auto& f) {
      f(type);
      f(name);
      f(configs);
    }
  };
  std::vector<Resource> resources{};
  bool validate_only = false;

  void fields(auto& f) {
    f(resources);
    f(validate_only);
  }
};

// Of both.
struct AlterConfigsResponse {
  struct Resource {
    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> error_message{};
    std::int8_t type = 0;
    std::string name{};

    void fields(auto& f) {
      f(error_code);
      f(error_message);
      f(type);
      f(name);
    }
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<Resource> responses{};

  void fields(auto& f) {
    f(throttle_time_ms);
    f(responses);
  }
};

}  // namespace sluice::kafka
