#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace sluice::net {

// Which web pages may open a WebSocket, by the origin that their browser states (RFC 6454): those
// of this machine (localhost, 127.0.0.1, [::1]), and what is listed. Programs that are no browser
// state none, and pass: they are not driven by a page that somebody just looks at.
struct AllowedOrigins {
  std::vector<std::string> listed;  // "https://console.example.org"; "*": all

  [[nodiscard]] bool allow(std::string_view origin) const;
};

// The HTTP request that opens a WebSocket for MQTT (RFC 6455, section 4.2; MQTT 5, section 6), by
// Beast's parser. No socket, no clock.
class UpgradeRequest {
 public:
  // Bytes of the request line and the headers.
  static constexpr std::size_t size_max = 8 << 10;

  explicit UpgradeRequest(const AllowedOrigins& origins) : origins_(origins) {}

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

  const AllowedOrigins& origins_;
  std::string head_;  // as far as it has come
  std::string response_;
  std::string refusal_;
};

}  // namespace sluice::net
