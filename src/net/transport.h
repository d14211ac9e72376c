#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::net {

// How the connections of a listener carry their protocol.
enum class Transport : std::uint8_t { tcp, tls, websocket, websocket_tls };

constexpr bool has_tls(Transport transport) {
  return transport == Transport::tls || transport == Transport::websocket_tls;
}

constexpr bool has_websocket(Transport transport) {
  return transport == Transport::websocket || transport == Transport::websocket_tls;
}

std::string_view to_string(Transport transport);

}  // namespace sluice::net
