// The settings of [mqtt.listener.NAME]: rows of their own, and the limits of [mqtt].

#include <algorithm>
#include <array>
#include <ranges>

#include "server/options.h"

namespace sluice::server {
namespace {

constexpr std::uint64_t GiB = 1ull << 30;

using Listener = Config::MqttListener;

const std::array table{
    ListenerOption{"address", "127.0.0.1",
                   "Numeric address to listen on, IPv4 or IPv6 (`::` takes IPv4 as well), or a "
                   "Unix socket such as `unix:/run/sluice/mqtt.sock`.",
                   [](Listener& l) -> Field { return TextField{&l.address}; }},
    ListenerOption{"port", "off", "TCP port. Needed, but for a Unix socket, which has none.",
                   [](Listener& l) -> Field { return PortField{&l.port}; }},
    ListenerOption{"transport", "tcp",
                   "How MQTT comes: plain, over TLS, over WebSocket, or over both. `tls` and `wss` "
                   "need `tls.certificate`.",
                   [](Listener& l) -> Field {
                     return ChoiceField{&l.transport, {"tcp", "tls", "ws", "wss"}};
                   }},
    ListenerOption{
        "proxy_protocol", "off",
        "`required`: each connection must begin with a header of the PROXY protocol, "
        "version 1 or 2, and its client is who stands there. Only the proxy may reach "
        "such a listener: whoever does can claim any address.",
        [](Listener& l) -> Field { return ChoiceField{&l.proxy_protocol, {"off", "required"}}; }},
    ListenerOption{
        "socket_mode", "0660",
        "Who may connect to a Unix socket: its owner, the group as well, or everybody on "
        "this machine.",
        [](Listener& l) -> Field { return ChoiceField{&l.socket_mode, {"0600", "0660", "0666"}}; }},
    ListenerOption{
        "connections_max", "0",
        "Connections of this listener. `0`: only `mqtt.connections_max` holds.",
        [](Listener& l) -> Field { return IntegerField{&l.connections_max, 0, 100'000'000}; }},
    ListenerOption{
        "message_rate", "0",
        "Messages per second that all its clients together may publish. `0`: no limit.",
        [](Listener& l) -> Field { return IntegerField{&l.message_rate, 0, 10'000'000}; }},
    ListenerOption{"byte_rate", "0", "The same in bytes. `0`: no limit.",
                   [](Listener& l) -> Field { return SizeField{&l.byte_rate, 0, 4 * GiB}; }},
};

}  // namespace

std::span<const ListenerOption> listener_options() { return table; }

}  // namespace sluice::server
