"""MQTT clients: paho with answers to wait for, and a bare socket for what no client library would send."""

import contextlib
import queue
import socket
import struct

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from support.waiting import DEADLINE_S

V311 = paho.MQTTv311
V5 = paho.MQTTv5


def properties(packet, **values):
    """properties("PUBLISH", UserProperty=("k", "v"), ContentType="text/plain")"""
    result = Properties(getattr(PacketTypes, packet))
    for name, value in values.items():
        setattr(result, name, value)
    return result


def _next(answers, what):
    try:
        return answers.get(timeout=DEADLINE_S)
    except queue.Empty:
        raise AssertionError(f"no {what} within {DEADLINE_S} s") from None


class MqttClient:
    """A connected paho client. Each call waits for the hub's answer; messages are taken from it one by one."""

    def __init__(
        self,
        hub,
        version=V5,
        client_id="",
        keepalive=60,
        connect_properties=None,
        clean=True,
        listener="mqtt",
        tls=None,
        will=None,
        manual_ack=False,
        login=None,
    ):
        """listener: its name in listeners.json; tls, will: what paho's tls_set() and will_set() are to be told;
        login: user and password."""
        options = {"clean_session": clean} if version == V311 else {}
        if listener in ("ws", "wss"):
            options["transport"] = "websockets"
        elif hub.listeners[listener].startswith("unix:"):
            options["transport"] = "unix"
        self.client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client_id=client_id, protocol=version, reconnect_on_failure=False, **options
        )
        self.messages = queue.Queue()
        self.disconnected = queue.Queue()
        self._connacks = queue.Queue()
        self._subacks = queue.Queue()
        self._published = queue.Queue()
        self.client.on_connect = lambda _c, _u, flags, reason, props: self._connacks.put((flags, reason, props))
        self.client.on_subscribe = self._on_subscribe
        self.client.on_unsubscribe = lambda _c, _u, _mid, reasons, _p: self._subacks.put(reasons)
        self.client.on_publish = lambda _c, _u, mid, reason, _p: self._published.put((mid, reason))
        self.client.on_message = lambda _c, _u, message: self.messages.put(message)
        self.client.on_disconnect = lambda _c, _u, _flags, reason, _p: self.disconnected.put(reason)
        if will:
            self.client.will_set(**will)
        self.client.manual_ack_set(manual_ack)
        if login:
            self.client.username_pw_set(*login)
        if tls:
            self.client.tls_set(**{name: str(value) for name, value in tls.items()})
        starts = {"clean_start": clean} if version == V5 else {}
        self.client.connect(*hub.address(listener), keepalive=keepalive, properties=connect_properties, **starts)
        self.client.loop_start()
        self.connack_flags, self.connack_reason, self.connack_properties = _next(self._connacks, "CONNACK")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _on_subscribe(self, _client, _data, _mid, reasons, suback_properties):
        self.suback_properties = suback_properties
        self._subacks.put(reasons)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()

    def vanish(self):
        """Closes the socket without a DISCONNECT."""
        self.client.loop_stop()
        self.client.socket().close()

    def subscribe(self, topic_filter, qos=0, **options):
        """The reason code of the SUBACK as a number."""
        if options:
            self.client.subscribe(topic_filter, options=paho.SubscribeOptions(qos=qos, **options))
        else:
            self.client.subscribe(topic_filter, qos)
        return _next(self._subacks, "SUBACK")[0].value

    def subscribe_with_id(self, topic_filter, identifier, qos=0):
        self.client.subscribe(topic_filter, qos, properties=properties("SUBSCRIBE", SubscriptionIdentifier=identifier))
        return _next(self._subacks, "SUBACK")[0].value

    def replay(self, stream_filter, start, qos=1):
        """Subscribes to "$stream/..." from a place; the reason code of the SUBACK and its reason string, if there is one."""
        self.client.subscribe(stream_filter, qos, properties=properties("SUBSCRIBE", UserProperty=("stream-offset", start)))
        code = _next(self._subacks, "SUBACK")[0].value
        return code, getattr(self.suback_properties, "ReasonString", None)

    def unsubscribe(self, topic_filter):
        self.client.unsubscribe(topic_filter)
        return _next(self._subacks, "UNSUBACK")

    def publish(self, topic, payload, qos=1, retain=False, **props):
        """Waits for the PUBACK or PUBCOMP; returns its reason code."""
        sent = self.client.publish(topic, payload, qos, retain, properties("PUBLISH", **props) if props else None)
        while True:
            packet_id, reason = _next(self._published, "PUBACK or PUBCOMP")
            if packet_id == sent.mid:
                return reason.value

    def send(self, topic, payload, qos=0, retain=False):
        """Does not wait for an answer."""
        self.client.publish(topic, payload, qos, retain)

    def receive(self):
        return _next(self.messages, "message")

    def receive_pairs(self, count):
        """The next messages as (topic, payload)."""
        return [(message.topic, message.payload) for message in (self.receive() for _ in range(count))]

    def disconnect_reason(self):
        """Waits until the hub ends the connection; the reason code of its DISCONNECT as a number."""
        return _next(self.disconnected, "end of the connection").value


# --- stored sessions

DAY_S = 86_400


def session_client(hub, client_id, version=V5, expiry_s=DAY_S, **options):
    """A client that takes its session up, or begins one that stays."""
    connect = properties("CONNECT", SessionExpiryInterval=expiry_s) if version == V5 else None
    return MqttClient(hub, version, client_id=client_id, clean=False, connect_properties=connect, **options)


def is_present(client):
    return client.connack_flags.session_present


# --- bare packets, MQTT 3.1.1 unless version=5


def packet(first_byte, body):
    length, out = len(body), bytearray([first_byte])
    while True:
        length, digit = divmod(length, 128)
        out.append(digit | (0x80 if length else 0))
        if not length:
            return bytes(out) + body


def text(value):
    raw = value if isinstance(value, bytes) else value.encode()
    return struct.pack(">H", len(raw)) + raw


def connect_packet(client_id="raw", keepalive=60, version=4, flags=0x02):
    props = b"\0" if version == 5 else b""
    return packet(0x10, text("MQTT") + struct.pack(">BBH", version, flags, keepalive) + props + text(client_id))


def publish_packet(topic, payload, qos=0, packet_id=1, retain=False):
    return packet(0x30 | qos << 1 | retain, text(topic) + (struct.pack(">H", packet_id) if qos else b"") + payload)


def subscribe_packet(topic_filter, qos=0, packet_id=1):
    return subscribe_many_packet([topic_filter], qos, packet_id)


def subscribe_many_packet(topic_filters, qos=0, packet_id=1):
    filters = b"".join(text(topic_filter) + bytes([qos]) for topic_filter in topic_filters)
    return packet(0x82, struct.pack(">H", packet_id) + filters)


class RawPeer:
    """A TCP connection on which a test says exactly what it wants."""

    def __init__(self, address):
        self.socket = socket.create_connection(address, timeout=DEADLINE_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def read(self, count):
        """Exactly `count` bytes; fails when the other side closes before."""
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            assert piece, f"closed after {data!r}"
            data += piece
        return data

    def read_packet(self):
        """(first byte, body)"""
        first_byte, length, shift = self.read(1)[0], 0, 0
        while True:
            digit = self.read(1)[0]
            length |= (digit & 0x7F) << shift
            shift += 7
            if digit < 0x80:
                return first_byte, self.read(length)

    def read_to_close(self):
        """All bytes until the other side closes or resets; fails if it does neither."""
        data = b""
        try:
            while piece := self.socket.recv(65536):
                data += piece
        except ConnectionResetError:
            pass
        return data


@contextlib.contextmanager
def crowd(count, make):
    """The peers that `make(number)` makes, closed afterwards whatever happened.

    paho waits by select(), which knows descriptors up to 1023 only: make its clients before a large crowd.
    """
    with contextlib.ExitStack() as closing:
        yield [closing.enter_context(make(number)) for number in range(count)]


def connected_raw(hub, **options):
    peer = RawPeer(hub.address("mqtt"))
    peer.send(connect_packet(**options))
    first_byte, body = peer.read_packet()
    assert (first_byte, body[1]) == (0x20, 0), body
    return peer
