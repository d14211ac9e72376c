#include <arpa/inet.h>

#include <charconv>

#include "runtime/loop.h"

namespace sluice::runtime {

namespace {

bool is_numeric_address(int family, const std::string& address) {
  in6_addr out;
  return ::inet_pton(family, address.c_str(), &out) == 1;
}

}  // namespace

std::string to_string(const Endpoint& endpoint) {
  const bool v6 = endpoint.address.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", endpoint.address, endpoint.port)
            : fmt::format("{}:{}", endpoint.address, endpoint.port);
}

Result<Endpoint> parse_endpoint(std::string_view text) {
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
