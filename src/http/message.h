#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::http {

struct Request {
  std::string method;  // as sent: "GET"
  std::string path;    // without the query, not decoded
  std::string query;   // what follows '?'
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::string peer;        // address and port, for access and logs
  bool keep_alive = true;  // RFC 9112, section 9.3
  bool is_http_1_0 = false;

  // The value of the first header of this name, in any case; empty without one.
  [[nodiscard]] std::string_view header(std::string_view name) const;
};

class Streamer;

struct Response {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body{};
  std::vector<std::pair<std::string, std::string>> headers{};
  // Writes the body bit by bit instead, and is the connection's from then on (server.h).
  std::shared_ptr<Streamer> streamer{};
};

std::string_view reason_phrase(int status);
// A response that only says its status, in plain text.
Response plain_response(int status, std::string_view detail = {});

// How a response's body is delimited (RFC 9112, section 6.3).
enum class Framing : std::uint8_t {
  length,
  head_only,  // to HEAD: the length of the body, but not the body
  chunked,    // the body follows as chunks
  until_end,  // the body follows until the connection is closed: to HTTP/1.0
};

// The bytes of a response (RFC 9112).
std::string serialize(const Response& response, bool keep_alive, Framing framing);
// A piece of a chunked body (RFC 9112, section 7.1). Of nothing: the last one.
std::string chunk(std::string_view bytes);

}  // namespace sluice::http
