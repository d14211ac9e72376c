#include "http/message.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace sluice::http {
namespace {

bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

}  // namespace

std::string_view Request::header(std::string_view name) const {
  const auto found = std::ranges::find_if(
      headers, [&](const auto& header) { return same_name(header.first, name); });
  return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    default:
      return "Unknown";
  }
}

Response plain_response(int status, std::string_view detail) {
  Response response{.status = status};
  response.body =
      fmt::format("{} {}{}{}\n", status, reason_phrase(status), detail.empty() ? "" : ": ", detail);
  return response;
}

std::string serialize(const Response& response, bool keep_alive, Framing framing) {
  std::string out =
      fmt::format("HTTP/1.1 {} {}\r\n", response.status, reason_phrase(response.status));
  // 204 has neither a body nor what describes one (RFC 9110, section 8.6).
  if (response.status != 204) out += fmt::format("Content-Type: {}\r\n", response.content_type);
  if (framing == Framing::chunked)
    out += "Transfer-Encoding: chunked\r\n";
  else if (framing != Framing::until_end && response.status != 204)
    out += fmt::format("Content-Length: {}\r\n", response.body.size());
  for (const auto& [name, value] : response.headers) out += fmt::format("{}: {}\r\n", name, value);
  if (!keep_alive) out += "Connection: close\r\n";
  out += "\r\n";
  if (framing == Framing::length) out += response.body;
  return out;
}

std::string chunk(std::string_view bytes) {
  return fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes);
}

}  // namespace sluice::http
