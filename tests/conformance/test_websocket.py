"""MQTT over WebSocket: section 6 of both standards."""

import os
import struct

import pytest

from conformance import covers, packets
from conformance.client import Client
from conformance.packets import CONNACK, PINGRESP, PUBACK

BINARY, TEXT, CLOSE = 0x82, 0x81, 0x88
CONTINUATION, FIN = 0x00, 0x80


def frame(first_byte, payload):
    """As a client sends it."""
    mask = os.urandom(4)
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else struct.pack(">BH", 0xFE, len(payload))
    return bytes([first_byte]) + size + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


class WebSocketClient(Client):
    """What the hub sends in frames is read as one stream of bytes; each frame must be binary."""

    def __init__(self, address, version, protocols="mqtt"):
        super().__init__(address, version)
        self.left = b""
        self.closed_by = None
        offered = f"Sec-WebSocket-Protocol: {protocols}\r\n" if protocols else ""
        self.send(
            b"GET /mqtt HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + offered.encode() + b"\r\n"
        )
        self.status = int(self.file.readline().split()[1])
        lines = iter(self.file.readline, b"\r\n")
        self.headers = {key.strip().lower(): value.strip() for key, _, value in (line.decode().partition(":") for line in lines)}

    def _read(self, count):
        while len(self.left) < count:
            first, size = super()._read(2)
            if size == 126:
                (size,) = struct.unpack(">H", super()._read(2))
            payload = super()._read(size)
            if first == CLOSE:
                self.closed_by = payload
            assert first in (BINARY, CLOSE), f"a frame that begins with {first:#x}"
            self.left += payload if first == BINARY else b""
        taken, self.left = self.left[:count], self.left[count:]
        return taken


@pytest.fixture
def dial_ws(hub, version):
    clients = []

    def make(**options):
        clients.append(WebSocketClient(hub.address("ws"), version, **options))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@covers("3.1.1:MQTT-6.0.0-3", "3.1.1:MQTT-6.0.0-4", "5:MQTT-6.0.0-3", "5:MQTT-6.0.0-4")
def test_the_subprotocol_is_mqtt(dial_ws):
    for protocols in "mqtt", "chat, mqtt":
        client = dial_ws(protocols=protocols)
        assert (client.status, client.headers["sec-websocket-protocol"]) == (101, "mqtt")
    for protocols in "chat", None:
        assert dial_ws(protocols=protocols).status == 400


@covers("3.1.1:MQTT-6.0.0-1", "5:MQTT-6.0.0-1")
def test_packets_travel_in_binary_frames_only(dial_ws, version):
    client = dial_ws()
    client.send(frame(BINARY, packets.connect(version, "c")))
    client.expect(CONNACK, code=0)
    client.send(frame(TEXT, packets.PING))
    client.expect_end()


@covers("3.1.1:MQTT-6.0.0-1", "5:MQTT-6.0.0-1")
def test_a_connect_in_a_text_frame_is_not_answered(dial_ws, version):
    client = dial_ws()
    client.send(frame(TEXT, packets.connect(version, "c")))
    client.expect_end()
    assert client.closed_by[:2] == struct.pack(">H", 1003)


@pytest.mark.parametrize("size", [1, 2, 3, 10, 1000])
@covers("3.1.1:MQTT-6.0.0-2", "5:MQTT-6.0.0-2")
def test_packets_need_not_be_aligned_with_frames(dial_ws, version, name, size):
    client = dial_ws()
    publishes = [packets.publish(version, f"{name}/a", b"x" * 9, qos=1, packet_id=packet_id) for packet_id in range(1, 6)]
    stream = packets.connect(version, name) + b"".join(publishes)
    client.send(*[frame(BINARY, stream[at : at + size]) for at in range(0, len(stream), size)])
    client.expect(CONNACK, code=0)
    assert [client.expect(PUBACK).packet_id for _ in publishes] == [1, 2, 3, 4, 5]


@covers("3.1.1:MQTT-6.0.0-2", "5:MQTT-6.0.0-2")
def test_packets_may_be_spread_over_the_fragments_of_a_message(dial_ws, version):
    client = dial_ws()
    stream = packets.connect(version, "c") + packets.PING
    client.send(frame(BINARY & ~FIN, stream[:5]), frame(CONTINUATION, stream[5:9]), frame(CONTINUATION | FIN, stream[9:]))
    client.expect(CONNACK, code=0)
    client.expect(PINGRESP)
