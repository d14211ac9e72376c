#pragma once

#include <cstdint>
#include <string_view>

#include "runtime/loop.h"

namespace sluice::net {

// How a connection carries its protocol.
enum class Transport : std::uint8_t { tcp, tls, websocket, websocket_tls };

constexpr bool has_tls(Transport transport) {
  return transport == Transport::tls || transport == Transport::websocket_tls;
}

constexpr bool has_websocket(Transport transport) {
  return transport == Transport::websocket || transport == Transport::websocket_tls;
}

std::string_view to_string(Transport transport);

// How the connections of a listener come.
struct Carriage {
  Transport transport = Transport::tcp;
  bool proxy_protocol = false;  // each begins with a header of the PROXY protocol
  runtime::Duration handshake_timeout = std::chrono::seconds(10);  // from the accept to the end of
                                                                   // all headers and handshakes
};

}  // namespace sluice::net
