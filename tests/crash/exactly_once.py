"""A publisher and a subscriber at QoS 2 with stored sessions, to the letter of MQTT 3.1.1, section 4.3.3: what they hold
outlives their connections, as it does in a client with a store of its own.
"""

import socket
import struct
from collections import OrderedDict

from crash.load import Load
from support.mqtt import connect_packet, packet, publish_packet, subscribe_packet
from support.waiting import DEADLINE_S

CONNACK, PUBLISH, PUBREC, PUBREL, PUBCOMP, SUBACK = 0x20, 0x30, 0x50, 0x62, 0x70, 0x90
KEEP_SESSION = 0x00


def ack(first_byte, packet_id):
    return packet(first_byte, struct.pack(">H", packet_id))


class SessionClient(Load):
    """Connects again whenever it is cut off, to the session that it has."""

    def __init__(self, hub, client_id):
        super().__init__(client_id)
        self.address = hub.address("mqtt")
        self.connects = 0

    def work(self):
        while not self.is_done():
            try:
                with socket.create_connection(self.address, timeout=DEADLINE_S) as peer:
                    peer.settimeout(0.2)  # it may be over when there is nothing more to come
                    self.peer = peer
                    self.input = b""
                    self.serve()
            except (ConnectionError, EOFError):
                self.stopping.wait(0.02)  # the hub is down for a moment

    def serve(self):
        self.peer.sendall(connect_packet(self.name, flags=KEEP_SESSION))
        first_byte, body = self.next_packet()
        assert first_byte == CONNACK and body[1] == 0, body.hex()
        # A connection that broke before its CONNACK may have made the session.
        assert body[0] == 1 or self.connects == 0, f"{self.name}: the session is gone"
        self.connects += 1
        self.on_connected(session_present=body[0] == 1)
        while not self.is_done():
            self.on_packet(*self.next_packet())

    def next_packet(self):
        while True:
            taken = cut_packet(self.input)
            if taken:
                first_byte, body, self.input = taken
                return first_byte, body
            try:
                piece = self.peer.recv(65536)
            except TimeoutError:
                if not self.is_done():
                    continue
                piece = b""
            if not piece:
                raise EOFError
            self.input += piece


def cut_packet(data):
    """(first byte, body, rest), or nothing if it is not all there."""
    length = shift = 0
    for at in range(1, len(data)):
        length |= (data[at] & 0x7F) << shift
        shift += 7
        if data[at] < 0x80:
            end = at + 1 + length
            return (data[0], data[at + 1 : end], data[end:]) if len(data) >= end else None
    return None


class ExactPublisher(SessionClient):
    """Publishes 0, 1, 2, ... to `topic`, up to WINDOW at a time."""

    WINDOW = 32

    def __init__(self, hub, topic):
        super().__init__(hub, f"publisher of {topic}")
        self.topic = topic
        self.sent = 0
        self.open = OrderedDict()  # packet id -> (number, whether its PUBREC has come)

    def is_done(self):
        return self.stopping.is_set() and not self.open

    def on_connected(self, session_present):
        for packet_id, (number, received) in list(self.open.items()):
            self.peer.sendall(ack(PUBREL, packet_id) if received else self.publish(packet_id, number, dup=True))
        self.fill()

    def fill(self):
        while not self.stopping.is_set() and len(self.open) < self.WINDOW:
            packet_id = self.sent % 65535 + 1
            self.open[packet_id] = (self.sent, False)
            self.sent += 1
            self.peer.sendall(self.publish(packet_id, self.open[packet_id][0]))

    def publish(self, packet_id, number, dup=False):
        raw = bytearray(publish_packet(self.topic, str(number).encode(), qos=2, packet_id=packet_id))
        raw[0] |= 0x08 if dup else 0
        return bytes(raw)

    def on_packet(self, first_byte, body):
        packet_id = struct.unpack(">H", body[:2])[0]
        if first_byte == PUBREC:
            if packet_id in self.open:
                self.open[packet_id] = (self.open[packet_id][0], True)
            self.peer.sendall(ack(PUBREL, packet_id))
        elif first_byte == PUBCOMP:
            if self.open.pop(packet_id, None):
                self.acknowledged += 1
            self.fill()


class ExactSubscriber(SessionClient):
    """Subscribes to `topic_filter` once, and notes what it is given, each exchange once."""

    def __init__(self, hub, client_id, topic_filter):
        super().__init__(hub, client_id)
        self.topic_filter = topic_filter
        self.subscribed = False
        self.held = set()  # packet ids whose PUBREL has not come
        self.received = {}  # topic -> numbers
        self.expected = None  # how many in all, once that is known

    def is_done(self):
        return self.stopping.is_set() and self.expected is not None and self.acknowledged >= self.expected

    def on_connected(self, session_present):
        if not self.subscribed:
            self.peer.sendall(subscribe_packet(self.topic_filter, qos=2))

    def on_packet(self, first_byte, body):
        if first_byte & 0xF0 == PUBLISH:
            self.on_publish(body)
        elif first_byte == PUBREL:
            packet_id = struct.unpack(">H", body)[0]
            self.held.discard(packet_id)
            self.peer.sendall(ack(PUBCOMP, packet_id))
        elif first_byte == SUBACK:
            assert body[2] == 2, "granted QoS"
            self.subscribed = True

    def on_publish(self, body):
        length = struct.unpack(">H", body[:2])[0]
        topic = body[2 : 2 + length].decode()
        packet_id = struct.unpack(">H", body[2 + length : 4 + length])[0]
        if packet_id not in self.held:
            self.held.add(packet_id)
            self.received.setdefault(topic, []).append(int(body[4 + length :]))
            self.acknowledged += 1
        self.peer.sendall(ack(PUBREC, packet_id))
