// The one unit of this module that knows Beast.

#include "net/upgrade.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/rfc7230.hpp>

namespace sluice::net {

namespace {

namespace http = boost::beast::http;

using Request = http::request<http::empty_body>;

constexpr std::array<std::string_view, 2> paths{"/mqtt", "/"};
// "mqttv3.1" is what clients offered before MQTT 3.1.1 was a standard.
constexpr std::array<std::string_view, 2> subprotocols{"mqtt", "mqttv3.1"};
constexpr std::array<std::string_view, 3> own_hosts{"localhost", "127.0.0.1", "[::1]"};
constexpr std::string_view end_of_head = "\r\n\r\n";
constexpr std::size_t key_size = 16;
constexpr std::size_t key_text_size = 24;

std::string_view text_of(boost::beast::string_view text) { return {text.data(), text.size()}; }

bool has_token(const Request& request, http::field field, std::string_view token) {
  return http::token_list(request[field]).exists(token);
}

// The first of ours that the client offers.
std::string_view chosen_subprotocol(const Request& request) {
  for (const std::string_view ours : subprotocols)
    for (const auto offered : http::token_list(request[http::field::sec_websocket_protocol]))
      if (text_of(offered) == ours) return ours;
  return {};
}

bool is_key(std::string_view text) {
  std::array<unsigned char, key_text_size> decoded;
  if (text.size() != key_text_size || !text.ends_with("==") || text[key_text_size - 3] == '=')
    return false;
  const int size =
      EVP_DecodeBlock(decoded.data(), reinterpret_cast<const unsigned char*>(text.data()),
                      static_cast<int>(text.size()));
  return size == static_cast<int>(key_size) + 2;  // it counts the padding
}

// Section 4.2.2, item 5.4.
std::string accept_value(std::string_view key) {
  const std::string salted = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int digest_size = 0;
  EVP_Digest(salted.data(), salted.size(), digest.data(), &digest_size, EVP_sha1(), nullptr);
  std::array<unsigned char, 2 * EVP_MAX_MD_SIZE> text;
  const int size = EVP_EncodeBlock(text.data(), digest.data(), static_cast<int>(digest_size));
  return {reinterpret_cast<const char*>(text.data()), static_cast<std::size_t>(size)};
}

}  // namespace

bool AllowedOrigins::allow(std::string_view origin) const {
  if (origin.empty()) return true;
  const auto is_listed = [&](std::string_view one) { return one == "*" || one == origin; };
  if (std::ranges::any_of(listed, is_listed)) return true;
  const std::size_t scheme_end = origin.find("://");
  if (scheme_end == std::string_view::npos) return false;
  const std::string_view host_and_port = origin.substr(scheme_end + 3);
  return std::ranges::any_of(own_hosts, [&](std::string_view host) {
    return host_and_port == host ||
           (host_and_port.starts_with(host) && host_and_port[host.size()] == ':');
  });
}

// Beast is shown the whole head at once: what it says of a part depends on where that ends.
std::size_t UpgradeRequest::feed(Bytes bytes) {
  if (done() || bytes.empty()) return 0;
  const std::size_t had = head_.size();
  head_ += as_text(bytes.first(std::min(bytes.size(), size_max - had)));
  if (head_[0] < 'A' || head_[0] > 'Z') {
    refuse("400 Bad Request", "this is not HTTP");
    return bytes.size();
  }
  const std::size_t end = head_.find(end_of_head, had - std::min(had, end_of_head.size() - 1));
  if (end != std::string::npos) {
    head_.resize(end + end_of_head.size());
    const std::size_t taken = head_.size() - had;
    answer();
    return taken;
  }
  if (head_.size() == size_max)
    refuse("431 Request Header Fields Too Large", "more than 8 KiB of headers");
  return bytes.size();
}

void UpgradeRequest::answer() {
  http::request_parser<http::empty_body> parser;
  parser.header_limit(2 * size_max);  // the bound is ours
  boost::beast::error_code error;
  parser.put(boost::asio::const_buffer(head_.data(), head_.size()), error);
  if (!parser.is_header_done()) return refuse("400 Bad Request", error.message());
  const Request& request = parser.get();
  const std::string_view target = text_of(request.target());
  const std::string_view key = text_of(request[http::field::sec_websocket_key]);

  if (std::ranges::find(paths, target.substr(0, target.find('?'))) == paths.end())
    return refuse("404 Not Found", "MQTT is at the path /mqtt");
  if (request.method() != http::verb::get)
    return refuse("405 Method Not Allowed", "a WebSocket begins with GET", "Allow: GET\r\n");
  if (request.version() < 11) return refuse("400 Bad Request", "HTTP/1.1 is needed");
  if (!has_token(request, http::field::connection, "upgrade") ||
      !has_token(request, http::field::upgrade, "websocket"))
    return refuse("426 Upgrade Required", "this port speaks MQTT over WebSocket",
                  "Upgrade: websocket\r\nConnection: Upgrade\r\n");
  if (request[http::field::sec_websocket_version] != "13")
    return refuse("426 Upgrade Required", "the version of WebSocket must be 13",
                  "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n");
  const std::string_view origin = text_of(request[http::field::origin]);
  if (!origins_.allow(origin))
    return refuse(
        "403 Forbidden",
        fmt::format("pages of {} may not connect; mqtt.ws_origins lists who may", origin));
  if (!is_key(key)) return refuse("400 Bad Request", "Sec-WebSocket-Key is not 16 bytes in base64");
  const std::string_view subprotocol = chosen_subprotocol(request);
  if (subprotocol.empty())
    return refuse("400 Bad Request", "the subprotocol 'mqtt' is not offered");

  response_ = fmt::format(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: {}\r\n\r\n",
      accept_value(key), subprotocol);
  head_ = {};
}

void UpgradeRequest::refuse(std::string_view status, std::string_view reason,
                            std::string_view headers) {
  refusal_ = fmt::format("{}: {}", status, reason);
  response_ = fmt::format(
      "HTTP/1.1 {}\r\n{}Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n"
      "Connection: close\r\n\r\n{}\n",
      status, headers, reason.size() + 1, reason);
  head_ = {};
}

}  // namespace sluice::net
