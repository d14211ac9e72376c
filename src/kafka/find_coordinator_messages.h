#pragma once

#include "kafka/error_code.h"
#include "kafka/wire.h"

namespace sluice::kafka {

struct FindCoordinatorRequest {
  static constexpr std::int8_t group = 0;  // of key_type; 1: transaction

  std::string_view key{};
  std::int8_t key_type = group;
  std::vector<std::string_view> coordinator_keys{};

  void fields(auto& f) {
    f(key, until(3));
    f(key_type, since(1));
    f(coordinator_keys, since(4));
  }
};

struct FindCoordinatorResponse {
  struct Coordinator {
    std::string key{};
    std::int32_t node_id = -1;
    std::string host{};
    std::int32_t port = -1;
    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> error_message{};

    void fields(auto& f) {
      f(key);
      f(node_id);
      f(host);
      f(port);
      f(error_code);
      f(error_message);
    }
  };
  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::none;
  std::optional<std::string> error_message{};
  std::int32_t node_id = -1;
  std::string host{};
  std::int32_t port = -1;
  std::vector<Coordinator> coordinators{};

  void fields(auto& f) {
    f(throttle_time_ms, since(1));
    f(error_code, until(3));
    f(error_message, between(1, 3));
    f(node_id, until(3));
    f(host, until(3));
    f(port, until(3));
    f(coordinators, since(4));
  }
};

}  // namespace sluice::kafka
