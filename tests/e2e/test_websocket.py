"""MQTT over WebSocket, with paho and with frames made by hand."""

import http.client
import os
import socket
import struct

import pytest

from support.mqtt import V5, V311, MqttClient, connect_packet
from support.tls import Authority
from support.waiting import DEADLINE_S

BINARY, TEXT, CLOSE, PING, PONG = 0x82, 0x81, 0x88, 0x89, 0x8A
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": "mqtt",
}


def frame(first_byte, payload, mask=None):
    """As a client sends it."""
    mask = mask or os.urandom(4)
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else struct.pack(">BH", 0xFE, len(payload))
    return bytes([first_byte]) + size + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


class BareWebSocket:
    def __init__(self, hub):
        lines = "".join(f"{name}: {value}\r\n" for name, value in UPGRADE.items())
        self.socket = socket.create_connection(hub.address("ws"), timeout=DEADLINE_S)
        self.socket.sendall(f"GET /mqtt HTTP/1.1\r\nHost: hub\r\n{lines}\r\n".encode())
        self.file = self.socket.makefile("rb")
        assert self.file.readline() == b"HTTP/1.1 101 Switching Protocols\r\n"
        while self.file.readline() != b"\r\n":
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def receive(self):
        """(first byte, payload), or None at the end."""
        head = self.file.read(2)
        if len(head) < 2:
            return None
        size = head[1] if head[1] < 126 else struct.unpack(">H", self.file.read(2))[0]
        return head[0], self.file.read(size)


def get(hub, path, headers):
    connection = http.client.HTTPConnection(*hub.address("ws"), timeout=DEADLINE_S)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    return response.status, response.read().decode(), response.headers


@pytest.mark.parametrize("version", [V311, V5], ids=["v3.1.1", "v5"])
def test_messages_come_back(hub, name, version):
    with MqttClient(hub, version, listener="ws") as client, MqttClient(hub) as other:
        client.subscribe(f"{name}/#", 1)
        client.publish(f"{name}/ws", "x")
        other.publish(f"{name}/tcp", "y" * 200_000)
        assert client.receive_pairs(2) == [(f"{name}/ws", b"x"), (f"{name}/tcp", b"y" * 200_000)]


def test_messages_come_back_through_tls(new_hub, tmp_path, name):
    authority = Authority(tmp_path)
    own = authority.issue("localhost")
    hub = new_hub({"mqtt.wss_port": 0, "tls.certificate": own.certificate, "tls.key": own.key})
    with MqttClient(hub, listener="wss", tls={"ca_certs": authority.certificate}) as client:
        client.subscribe(f"{name}/a", 1)
        client.publish(f"{name}/a", "z" * 100_000)
        assert client.receive().payload == b"z" * 100_000


def test_packets_may_be_spread_over_frames(hub):
    packet = connect_packet("spread")
    with BareWebSocket(hub) as bare:
        bare.send(frame(0x02, packet[:1]))
        bare.send(frame(PING, b"in between"))
        bare.send(frame(0x00, packet[1:5]) + frame(0x80, packet[5:]))
        answers = [bare.receive(), bare.receive()]
        assert (PONG, b"in between") in answers
        assert any(first == BINARY and payload[0] == 0x20 for first, payload in answers), "CONNACK"


@pytest.mark.parametrize(
    "wrong,code",
    [
        (frame(TEXT, b"hello"), 1003),
        (b"\x82\x01x", 1002),
        (frame(0xC2, b"x"), 1002),
        (frame(0x80, b"x"), 1002),
        (frame(0x09, b"x"), 1002),
        (b"\x82\xff" + b"\xff" * 8 + b"mask", 1009),
        (b"\x82\xfe\x00\x01" + b"maskx", 1002),
    ],
    ids=["text", "unmasked", "reserved", "continuation", "fragmented-ping", "lying", "not-shortest"],
)
def test_wrong_frames_close_with_a_code(hub, wrong, code):
    with BareWebSocket(hub) as bare:
        bare.send(wrong)
        first, payload = bare.receive()
        assert (first, struct.unpack(">H", payload[:2])[0]) == (CLOSE, code)
        assert bare.receive() is None


def test_a_close_is_answered(hub):
    with BareWebSocket(hub) as bare:
        bare.send(frame(CLOSE, struct.pack(">H", 1000)))
        assert bare.receive() == (CLOSE, struct.pack(">H", 1000))
        assert bare.receive() is None


@pytest.mark.parametrize(
    "path,headers,status,told",
    [
        ("/other", UPGRADE, 404, "/mqtt"),
        ("/mqtt", {}, 426, "MQTT over WebSocket"),
        ("/mqtt", {**UPGRADE, "Sec-WebSocket-Version": "8"}, 426, "13"),
        ("/mqtt", {**UPGRADE, "Sec-WebSocket-Protocol": "chat"}, 400, "mqtt"),
        ("/mqtt", {**UPGRADE, "Sec-WebSocket-Key": "short"}, 400, "Sec-WebSocket-Key"),
        ("/mqtt", {"X": "x" * 10_000}, 431, "8 KiB"),
    ],
    ids=["path", "no-upgrade", "version", "subprotocol", "key", "large"],
)
def test_wrong_requests_get_an_http_error(hub, path, headers, status, told):
    got, text, response_headers = get(hub, path, headers)
    assert got == status and told in text
    if status == 426:
        assert response_headers["Upgrade"] == "websocket"
