#pragma once

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

  // The value of the first header of this name, in any case; empty without one.
  [[nodiscard]] std::string_view header(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

std::string_view reason_phrase(int status);
// A response that only says its status, in plain text.
Response plain_response(int status, std::string_view detail = {});

// The bytes of a response (RFC 9112). To HEAD: with the length of the body, but without the body.
std::string serialize(const Response& response, bool keep_alive, bool is_head);

}  // namespace sluice::http
