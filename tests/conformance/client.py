"""One connection to the hub on which a test says exactly what it wants."""

import socket

from conformance import packets
from conformance.packets import CONNACK, DISCONNECT, PINGRESP, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK, UNSUBACK, V5
from support.waiting import DEADLINE_S


class Closed(AssertionError):
    """The hub has closed the connection where a packet was expected."""


class Client:
    """A TCP connection of one protocol version. `size_max`: what no packet of the hub may be larger than, if anything."""

    def __init__(self, address, version):
        self.version = version
        self.size_max = None
        self.socket = socket.create_connection(address, timeout=DEADLINE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def close(self):
        """Without a DISCONNECT."""
        self.file.close()
        self.socket.close()

    # --- bytes and packets

    def send(self, *raw):
        self.socket.sendall(b"".join(raw))

    def receive(self):
        """The hub's next packet."""
        first = self._read(1)[0]
        length = shift = 0
        header = 1
        while True:
            byte = self._read(1)[0]
            header += 1
            length |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
        assert byte or header == 2, "the remaining length takes more bytes than it need"
        size = header + length
        assert self.size_max is None or size <= self.size_max, f"{size} bytes for a client that takes {self.size_max}"
        return packets.decode(self.version, first >> 4, first & 15, size, self._read(length))

    def _read(self, count):
        try:
            raw = self.file.read(count)
        except ConnectionResetError:
            raw = b""
        if len(raw) < count:
            raise Closed(f"closed where {count} bytes were expected, after {raw!r}")
        return raw

    def expect(self, kind, **fields):
        """The next packet, which is of this kind and has these fields."""
        packet = self.receive()
        assert packet.kind == kind, f"packet type {kind} was expected: {packet}"
        found = {name: getattr(packet, name) for name in fields}
        assert found == fields, f"{packet}"
        return packet

    def fence(self):
        """What the hub had to say until now: all packets up to the answer to a PINGREQ."""
        self.send(packets.PING)
        found = []
        while (packet := self.receive()).kind != PINGRESP:
            found.append(packet)
        return found

    def expect_nothing(self):
        assert self.fence() == []

    def expect_closed(self, *reasons):
        """The hub closes the connection: in MQTT 5 by a DISCONNECT with one of `reasons`, in 3.1.1 without a word."""
        if self.version == V5:
            assert reasons, "MQTT 5 has a reason"
            packet = self.expect(DISCONNECT)
            assert packet.code in reasons, f"{packet}"
        self.expect_end()

    def expect_end(self):
        """The hub closes the connection and says nothing before."""
        try:
            packet = self.receive()
        except Closed:
            return
        raise AssertionError(f"the connection goes on: {packet}")

    # --- what most tests begin with

    def connect(self, client_id="", **options):
        """CONNECT and the CONNACK that accepts it."""
        self.send(packets.connect(self.version, client_id, **options))
        return self.expect(CONNACK, code=0)

    def expect_refused(self, *codes):
        """CONNACK with one of these codes, and then the end."""
        packet = self.expect(CONNACK, session_present=0)
        assert packet.code in codes, f"{packet}"
        self.expect_end()

    def subscribe(self, topic_filter, options=0, packet_id=1, **more):
        """Waits for the SUBACK; its one code."""
        self.send(packets.subscribe(self.version, (topic_filter, options), packet_id=packet_id, **more))
        return self.expect(SUBACK, packet_id=packet_id).codes[0]

    def unsubscribe(self, topic_filter, packet_id=1):
        self.send(packets.unsubscribe(self.version, topic_filter, packet_id=packet_id))
        return self.expect(UNSUBACK, packet_id=packet_id)

    def publish(self, topic, payload=b"", qos=1, packet_id=1, **options):
        """Waits until the exchange of its QoS is over; at QoS 0, until the hub has read it."""
        if qos == 0:
            self.send(packets.publish(self.version, topic, payload, **options))
            return self.expect_nothing()
        self.send(packets.publish(self.version, topic, payload, qos=qos, packet_id=packet_id, **options))
        if qos == 1:
            return self.expect(PUBACK, packet_id=packet_id)
        self.expect(PUBREC, packet_id=packet_id, code=0)
        self.send(packets.ack(PUBREL, packet_id))
        return self.expect(PUBCOMP, packet_id=packet_id)

    def expect_message(self, topic=None, payload=None, **fields):
        """The next packet is a message; one of QoS 1 is acknowledged, one of QoS 2 taken to its end."""
        wanted = {name: value for name, value in {"topic": topic, "payload": payload}.items() if value is not None}
        message = self.expect(PUBLISH, **wanted, **fields)
        if message.qos == 1:
            self.send(packets.ack(PUBACK, message.packet_id))
        if message.qos == 2:
            self.send(packets.ack(PUBREC, message.packet_id))
            self.expect(PUBREL, packet_id=message.packet_id, code=0)
            self.send(packets.ack(PUBCOMP, message.packet_id))
        return message
