#pragma once

#include "kafka/error_code.h"
#include "kafka/wire.h"

namespace sluice::kafka {

struct SaslHandshakeRequest {
  std::string_view mechanism{};

  void fields(auto& f) { f(mechanism); }
};

struct SaslHandshakeResponse {
  ErrorCode error_code = ErrorCode::none;
  std::vector<std::string> mechanisms{};

  void fields(auto& f) {
    f(error_code);
    f(mechanisms);
  }
};

struct SaslAuthenticateRequest {
  Bytes auth_bytes{};

  void fields(auto& f) { f(auth_bytes); }
};

struct SaslAuthenticateResponse {
  ErrorCode error_code = ErrorCode::none;
  std::optional<std::string> error_message{};
  Buffer auth_bytes{};
  std::int64_t session_lifetime_ms = 0;  // 0: for as long as the connection

  void fields(auto& f) {
    f(error_code);
    f(error_message);
    f(auth_bytes);
    f(session_lifetime_ms, since(1));
  }
};

}  // namespace sluice::kafka
