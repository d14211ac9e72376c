#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace sluice::net {

// The HTTP request that opens a WebSocket for MQTT (RFC 6455, section 4.2; MQTT 5, section 6), by
// Beast's parser. No socket, no clock.
class UpgradeRequest {
 public:
  // Bytes of the request line and the headers.
  static constexpr std::size_t size_max = 8 << 10;

  // Takes bytes of the request; returns how many. What is left belongs to the frames behind it.
  std::size_t feed(Bytes bytes);
  // The request is whole, or wrong.
  [[nodiscard]] bool done() const { return !response_.empty(); }

  // What to send, when done.
  [[nodiscard]] const std::string& response() const { return response_; }
  // Why the connection is to be closed after that; empty: the WebSocket is open.
  [[nodiscard]] const std::string& refusal() const { return refusal_; }

 private:
  void answer();
  void refuse(std::string_view status, std::string_view reason, std::string_view headers = {});

  std::string head_;  // as far as it has come
  std::string response_;
  std::string refusal_;
};

}  // namespace sluice::net
