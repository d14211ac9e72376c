#pragma once

#include "kafka/error_code.h"
#include "kafka/wire.h"

namespace sluice::kafka {

struct ApiVersionsRequest {
  std::string_view client_software_name{};
  std::string_view client_software_version{};

  void fields(auto& f) {
    f(client_software_name, since(3));
    f(client_software_version, since(3));
  }
};

struct ApiVersionsResponse {
  struct Range {
    std::int16_t api_key = 0;
    std::int16_t min_version = 0;
    std::int16_t max_version = 0;

    void fields(auto& f) {
      f(api_key);
      f(min_version);
      f(max_version);
    }
  };
  ErrorCode error_code = ErrorCode::none;
  std::vector<Range> api_keys{};
  std::int32_t throttle_time_ms = 0;

  void fields(auto& f) {
    f(error_code);
    f(api_keys);
    f(throttle_time_ms, since(1));
  }
};

}  // namespace sluice::kafka
