#include <arpa/inet.h>

#include <array>
#include <charconv>
#include <cstring>

#include "base/assert.h"
#include "runtime/loop.h"
#include "runtime/unix_socket.h"

namespace sluice::runtime {

namespace {

constexpr std::string_view unix_prefix = "unix:";

bool is_numeric_address(int family, const std::string& address) {
  in6_addr out;
  return ::inet_pton(family, address.c_str(), &out) == 1;
}

}  // namespace

bool is_unix(const Endpoint& endpoint) { return endpoint.address.starts_with(unix_prefix); }

std::string to_string(const Endpoint& endpoint) {
  if (is_unix(endpoint)) return endpoint.address;
  const bool v6 = endpoint.address.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", endpoint.address, endpoint.port)
            : fmt::format("{}:{}", endpoint.address, endpoint.port);
}

std::string address_text(Bytes address) {
  SLUICE_ASSERT(address.size() == 4 || address.size() == 16);
  in6_addr v6{};
  std::memcpy(&v6, address.data(), address.size());
  const bool mapped = address.size() == 16 && IN6_IS_ADDR_V4MAPPED(&v6);
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (mapped || address.size() == 4)
    ::inet_ntop(AF_INET, address.last(4).data(), text.data(), text.size());
  else
    ::inet_ntop(AF_INET6, &v6, text.data(), text.size());
  return text.data();
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  if (text.starts_with(unix_prefix)) {
    const std::size_t size = text.size() - unix_prefix.size();
    if (size == 0 || size > UnixSocket::path_max)
      return fail(Errc::invalid, "{}: expected unix: and a path of up to {} bytes", text,
                  UnixSocket::path_max);
    return Endpoint{std::string(text), 0};
  }
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos)
    return fail(Errc::invalid, "{}: no port, expected address:port", text);
  auto address = text.substr(0, colon);
  const auto port = text.substr(colon + 1);
  const bool bracketed = address.size() > 1 && address.front() == '[' && address.back() == ']';
  if (bracketed) address = address.substr(1, address.size() - 2);

  Endpoint endpoint{std::string(address), 0};
  if (!is_numeric_address(bracketed ? AF_INET6 : AF_INET, endpoint.address)) {
    return fail(Errc::invalid,
                "{}: expected a numeric address such as 127.0.0.1:1883 or [::1]:1883", text);
  }
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
  if (error != std::errc{} || end != port.data() + port.size()) {
    return fail(Errc::invalid, "{}: port {} is not a number from 0 to 65535", text, port);
  }
  return endpoint;
}

}  // namespace sluice::runtime
