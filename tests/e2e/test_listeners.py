"""MQTT listeners beside the simple ones: IPv6, Unix sockets, the PROXY protocol, limits of their own; too many clients."""

import resource
import socket
import stat
import struct
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.hub import ANY_PORTS, sluice
from support.mqtt import V5, V311, MqttClient, RawPeer, connect_packet, connected_raw, publish_packet
from support.waiting import DEADLINE_S, eventually

QUOTA_EXCEEDED = 0x97
CONNACK_OK = b"\x20\x02\0\0"


def listener(name, **settings):
    """listener("edge", port=0) as settings of a hub."""
    return {f"mqtt.listener.{name}.{key}": value for key, value in settings.items()}


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@needs_ipv6
@pytest.mark.parametrize("shards", [1, 2])
def test_listeners_on_ipv6_stand_beside_the_others(new_hub, shards):
    hub = new_hub({"server.shards": shards, **listener("six", address="::1", port=0)})
    assert hub.listeners["six"].startswith("[::1]:")
    with MqttClient(hub, listener="six") as modern, MqttClient(hub) as old:
        old.subscribe("t", 1)
        modern.publish("t", "over IPv6")
        assert old.receive().payload == b"over IPv6"


@needs_ipv6
def test_all_addresses_of_ipv6_take_ipv4_as_well(new_hub):
    hub = new_hub({"mqtt.address": "::", "access.allow_anonymous": "true", "mqtt.ws_port": "off"})
    port = hub.address("mqtt")[1]
    for host in ("127.0.0.1", "::1"):
        with RawPeer((host, port)) as peer:
            peer.send(connect_packet() * 2)
            assert peer.read(4) == CONNACK_OK
            peer.read_to_close()
    eventually(lambda: '"peer":"127.0.0.1:' in hub.log(), "an IPv4 address as what it is")
    assert '"peer":"[::1]:' in hub.log()


# --- Unix sockets


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("version", [V311, V5])
def test_a_unix_socket_is_a_listener(new_hub, tmp_path, version, shards):
    path = tmp_path / "mqtt.sock"
    hub = new_hub({"server.shards": shards, **listener("local", address=f"unix:{path}", socket_mode="0666")})
    assert hub.listeners["local"] == f"unix:{path}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o666
    with ExitStack() as stack:
        clients = [stack.enter_context(MqttClient(hub, version, listener="local")) for _ in range(4)]
        for number, client in enumerate(clients):
            client.subscribe(f"t/{number}", 1)
        for number, client in enumerate(clients):
            clients[0].publish(f"t/{number}", "x")
            assert client.receive().topic == f"t/{number}"
    assert hub.stop() == 0
    assert not path.exists()


def test_a_unix_socket_of_a_dead_hub_is_replaced_and_that_of_a_living_one_refused(new_hub, tmp_path):
    path = tmp_path / "mqtt.sock"
    hub = new_hub(listener("local", address=f"unix:{path}"))
    hub.kill()
    assert path.is_socket()
    hub.start()
    sets = [f"--set={key}={value}" for key, value in {**ANY_PORTS, **listener("local", address=f"unix:{path}")}.items()]
    told = sluice("server", "--data", tmp_path / "other", *sets, expect=1).stderr
    assert f"unix:{path}: another process listens there" in told
    assert "mqtt.listener.local.address" in told
    with MqttClient(hub, listener="local") as client:
        assert client.publish("t", "still served") == 0


# --- the PROXY protocol


def proxy_v2(client, command=0x21, extensions=b""):
    host, port = client
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    address = socket.inet_pton(family, host)
    body = address + address + struct.pack(">HH", port, 1883) + extensions
    kind = 0x21 if family == socket.AF_INET6 else 0x11
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack(">BBH", command, kind, len(body)) + body


HEADERS = {
    "v1-ipv4": (b"PROXY TCP4 203.0.113.7 198.51.100.1 4711 1883\r\n", "203.0.113.7:4711"),
    "v1-ipv6": (b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 1883\r\n", "[2001:db8::7]:4711"),
    "v2-ipv4": (proxy_v2(("203.0.113.7", 4711)), "203.0.113.7:4711"),
    "v2-ipv6": (proxy_v2(("2001:db8::7", 4711)), "[2001:db8::7]:4711"),
    "v2-extensions": (proxy_v2(("203.0.113.7", 4711), extensions=b"\x01\0\x04mqtt"), "203.0.113.7:4711"),
    "v1-unknown": (b"PROXY UNKNOWN\r\n", "127.0.0.1:"),
    "v2-local": (proxy_v2(("203.0.113.7", 4711), command=0x20), "127.0.0.1:"),
}


@pytest.mark.parametrize(("header", "peer_in_log"), HEADERS.values(), ids=HEADERS.keys())
def test_a_proxy_says_who_the_client_is(new_hub, header, peer_in_log):
    hub = new_hub(listener("proxied", port=0, proxy_protocol="required"))
    with RawPeer(hub.address("proxied")) as peer:
        peer.send(header + connect_packet())
        assert peer.read(4) == CONNACK_OK
        peer.send(publish_packet("t", b"x", qos=1))
        assert peer.read(4) == b"\x40\x02\0\1"
        peer.send(connect_packet())
        peer.read_to_close()
    eventually(lambda: f'"peer":"{peer_in_log}' in hub.log(), f"{peer_in_log} in the log")


def test_who_shows_no_header_of_the_proxy_protocol_is_closed_and_counted(new_hub):
    hub = new_hub(listener("proxied", port=0, proxy_protocol="required"))
    with RawPeer(hub.address("proxied")) as peer:
        peer.send(connect_packet())
        assert peer.read_to_close() == b""
    assert hub.metric("sluice_channel_failures_total", reason="proxy") == 1
    assert "proxy protocol: there is none" in hub.log()
    with MqttClient(hub) as other:
        other.publish("t", "the plain listener wants none")


# --- limits


def test_limits_of_a_listener_are_announced_on_it_alone(new_hub):
    settings = {"receive_maximum": 7, "packet_max": "2KiB", "topic_alias_max": 3, "keep_alive_max": "30s"}
    hub = new_hub({"mqtt.receive_maximum": 9, **listener("tight", port=0, **settings)})
    with MqttClient(hub, listener="tight") as client:
        told = client.connack_properties
        assert (told.ReceiveMaximum, told.MaximumPacketSize, told.TopicAliasMaximum) == (7, 2048, 3)
        assert told.ServerKeepAlive == 30
        client.send("t", b"x" * 3000)
        assert client.disconnect_reason() == 0x95
    with MqttClient(hub) as client:
        assert client.connack_properties.ReceiveMaximum == 9
        assert not hasattr(client.connack_properties, "ServerKeepAlive")
        client.publish("t", b"x" * 3000)


@pytest.mark.parametrize("shards", [1, 2])
def test_beyond_its_connections_a_listener_says_so(new_hub, shards):
    hub = new_hub({"server.shards": shards, **listener("small", port=0, connections_max=2)})
    with MqttClient(hub, listener="small"), MqttClient(hub, V311, listener="small") as second:
        with MqttClient(hub, listener="small") as third:
            assert third.connack_reason.value == QUOTA_EXCEEDED
        with RawPeer(hub.address("small")) as third:
            third.send(connect_packet())
            assert third.read_to_close() == b"\x20\x02\0\x03", "server unavailable"
        assert hub.metric("sluice_mqtt_listener_connections", listener="small") == 2
        with MqttClient(hub) as elsewhere:
            elsewhere.publish("t", "others are not touched")
        second.close()
        eventually(lambda: hub.metric("sluice_mqtt_listener_connections", listener="small") == 1, "a free place")
        with MqttClient(hub, listener="small") as next_one:
            assert next_one.connack_reason.value == 0


def test_the_connections_of_the_hub_are_bounded_too(new_hub):
    hub = new_hub({"mqtt.connections_max": 2})
    with MqttClient(hub), MqttClient(hub, listener="ws"), MqttClient(hub) as third:
        assert third.connack_reason.value == QUOTA_EXCEEDED
    assert hub.metric("sluice_mqtt_refusals_total", reason="quota_exceeded") == 1


def drip(peer, data):
    """Sends byte by byte, with 50 ms between them; returns how many went out before the other side closed."""
    peer.socket.settimeout(0.05)
    for count in range(len(data)):
        try:
            peer.send(data[count : count + 1])
            if peer.socket.recv(1) == b"":
                return count
        except TimeoutError:
            continue
        except (ConnectionResetError, BrokenPipeError):
            return count
    return len(data)


def test_who_takes_too_long_to_connect_is_closed_in_time_and_others_go_on(new_hub):
    hub = new_hub(listener("hasty", port=0, connect_timeout="1s"))
    with ExitStack() as stack, MqttClient(hub, listener="hasty") as client:
        silent = [stack.enter_context(RawPeer(hub.address("hasty"))) for _ in range(50)]
        slow = stack.enter_context(RawPeer(hub.address("hasty")))
        packet = connect_packet(client_id="x" * 500)
        assert drip(slow, packet) < len(packet), "25 s for a CONNECT"
        client.publish("t", "meanwhile")
        for peer in silent:
            assert peer.read_to_close() == b""
        assert hub.metric("sluice_mqtt_refusals_total", reason="keep_alive_timeout") == 51
        assert client.publish("t", "and afterwards") == 0


def test_without_descriptors_clients_wait_and_those_that_are_there_go_on(new_hub):
    hub = new_hub({"mqtt.connections_max": 1000})
    pid = hub.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        client = stack.enter_context(MqttClient(hub))
        client.publish("t", "opens the log's files")
        used = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 5, before[1]))
        peers = [stack.enter_context(RawPeer(hub.address("mqtt"))) for _ in range(10)]
        for number, peer in enumerate(peers):
            peer.send(connect_packet(client_id=f"raw-{number}"))
        eventually(lambda: "cannot accept connections for now" in hub.log(), "a word in the log")
        cpu = cpu_ticks(pid)
        assert client.publish("t", "goes on") == 0
        peers[9].socket.settimeout(1)
        with pytest.raises(TimeoutError):
            peers[9].read(4)
        assert cpu_ticks(pid) - cpu < 50, "accepting pauses instead of spinning"
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        for peer in peers:
            peer.socket.settimeout(DEADLINE_S)
            assert peer.read(4) == CONNACK_OK


def cpu_ticks(pid):
    """User and system time, a hundredth of a second each."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


# --- rates


def test_a_client_that_publishes_too_much_is_throttled(new_hub):
    hub = new_hub({"mqtt.client_message_rate": 10})
    with connected_raw(hub) as greedy, MqttClient(hub) as modest, MqttClient(hub) as watcher:
        watcher.subscribe("greedy", 0)
        for number in range(1, 26):
            greedy.send(publish_packet("greedy", str(number).encode(), qos=1, packet_id=number))
        assert greedy.read(4 * 10)[-1] == 10
        eventually(lambda: hub.metric("sluice_mqtt_throttled_total") > 0, "a client that is not read from")
        modest.publish("t", "is not held up")
        assert greedy.read(4 * 15)[-1] == 25
        assert [watcher.receive().payload for _ in range(25)] == [str(number).encode() for number in range(1, 26)]


@pytest.mark.parametrize("shards", [1, 2])
def test_beyond_the_rate_of_a_listener_messages_are_refused_or_dropped(new_hub, shards):
    rated = listener("rated", port=0, message_rate=5, rate_action="drop")
    hub = new_hub({"server.shards": shards, **rated})
    with MqttClient(hub, listener="rated") as one, MqttClient(hub, listener="rated") as other:
        reasons = {client.publish("t", "x") for _ in range(20) for client in (one, other)}
        assert QUOTA_EXCEEDED in reasons
    assert hub.metric("sluice_messages_dropped_total", reason="rate") > 0


def test_beyond_a_rate_a_client_may_be_disconnected(new_hub):
    hub = new_hub({"mqtt.client_byte_rate": 1000, "mqtt.rate_action": "disconnect"})
    with MqttClient(hub) as client:
        for _ in range(3):
            client.send("t", b"x" * 1000)
        assert client.disconnect_reason() == 0x96


# --- the configuration


def test_config_knows_listeners(tmp_path):
    path = tmp_path / "sluice.toml"
    path.write_text('[mqtt.listener.edge]\naddress = "::1"\nport = 1884\nclient_message_rate = 10\n')
    sluice("config", "check", "--config", path)
    dumped = sluice("config", "dump", "--config", path).stdout
    assert "[mqtt.listener.edge]" in dumped
    assert f"client_message_rate = 10  # {path}:4" in dumped
    explained = sluice("config", "explain", "mqtt.listener.edge.output_max", "--config", path).stdout
    assert "that of mqtt.output_max" in explained
    path.write_text("[mqtt.listener.edge]\nport = 1884\nconections_max = 10\n")
    told = sluice("config", "check", "--config", path, expect=None).stderr
    assert f"{path}:3: unknown setting 'mqtt.listener.edge.conections_max'" in told
    assert "did you mean 'mqtt.listener.edge.connections_max'?" in told
