#pragma once

#include "kafka/error_code.h"
#include "kafka/wire.h"

namespace sluice::kafka {

struct DeleteTopicsRequest {
  struct Topic {
    std::optional<std::string_view> name{};
    Uuid topic_id{};

    void fields(auto& f) {
      f(name);
      f(topic_id);
    }
  };
  std::vector<Topic> topics{};
  std::vector<std::string_view> topic_names{};
  std::int32_t timeout_ms = 0;

  void fields(auto& f) {
    f(topics, since(6));
    f(topic_names, until(5));
    f(timeout_ms);
  }
};

struct DeleteTopicsResponse {
  struct Topic {
    std::optional<std::string> name{};
    Uuid topic_id{};
    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> error_message{};

    void fields(auto& f) {
      f(name);
      f(topic_id, since(6));
      f(error_code);
      f(error_message, since(5));
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
