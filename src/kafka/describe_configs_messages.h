#pragma once

#include "kafka/config_source.h"
#include "kafka/error_code.h"
#include "kafka/wire.h"

namespace sluice::kafka {

struct DescribeConfigsRequest {
  struct Resource {
    std::int8_t type = 0;
    std::string_view name{};
    std::optional<std::vector<std::string_view>> keys{};  // null: all

    void fields(auto& f) {
      f(type);
      f(name);
      f(keys);
    }
  };
  std::vector<Resource> resources{};
  bool include_synonyms = false;
  bool include_documentation = false;

  void fields(auto& f) {
    f(resources);
    f(include_synonyms);
    f(include_documentation, since(3));
  }
};

struct DescribeConfigsResponse {
  // org.apache.kafka.common.requests.DescribeConfigsResponse.ConfigType
  enum class Type : std::int8_t {
    unknown = 0,
    boolean = 1,
    string = 2,
    int32 = 3,
    int64 = 5,
    list = 7
  };

  struct Synonym {
    std::string name{};
    std::optional<std::string> value{};
    ConfigSource source = ConfigSource::built_in;

    void fields(auto& f) {
      f(name);
      f(value);
      f(source);
    }
  };
  struct Config {
    std::string name{};
    std::optional<std::string> value{};
    bool read_only = false;
    ConfigSource source = ConfigSource::built_in;
    bool is_sensitive = false;
    std::vector<Synonym> synonyms{};
    Type type = Type::unknown;
    std::optional<std::string> documentation{};

    void fields(auto& f) {
      f(name);
      f(value);
      f(read_only);
      f(source);
      f(is_sensitive);
      f(synonyms);
      f(type, since(3));
      f(documentation, since(3));
    }
  };
  struct Result {
    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> error_message{};
    std::int8_t type = 0;
    std::string name{};
    std::vector<Config> configs{};

    void fields(auto& f) {
      f(error_code);
      f(error_message);
      f(type);
      f(name);
      f(configs);
    }
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<Result> results{};

  void fields(auto& f) {
    f(throttle_time_ms);
    f(results);
  }
};

}  // namespace sluice::kafka
