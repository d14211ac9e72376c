"""MQTT packets as bytes, and the server's bytes as packets. Builders write whatever they are told, wrong or right; reading
is strict: a packet of the server that breaks the format of its version fails the test."""

import struct
from typing import NamedTuple

V311, V5 = 4, 5  # protocol levels

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE = range(1, 9)
SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = range(9, 16)

# Reason codes of MQTT 5 that the tests name.
MALFORMED, PROTOCOL_ERROR = 0x81, 0x82

# Properties.
PAYLOAD_FORMAT, MESSAGE_EXPIRY, CONTENT_TYPE, RESPONSE_TOPIC, CORRELATION_DATA = 0x01, 0x02, 0x03, 0x08, 0x09
SUBSCRIPTION_ID, SESSION_EXPIRY, ASSIGNED_CLIENT_ID, SERVER_KEEP_ALIVE = 0x0B, 0x11, 0x12, 0x13
AUTHENTICATION_METHOD, AUTHENTICATION_DATA, REQUEST_PROBLEM_INFORMATION, WILL_DELAY = 0x15, 0x16, 0x17, 0x18
REQUEST_RESPONSE_INFORMATION, RESPONSE_INFORMATION, REASON_STRING = 0x19, 0x1A, 0x1F
RECEIVE_MAXIMUM, TOPIC_ALIAS_MAXIMUM, TOPIC_ALIAS = 0x21, 0x22, 0x23
USER_PROPERTY, MAXIMUM_PACKET_SIZE, SHARED_AVAILABLE = 0x26, 0x27, 0x2A

_KINDS = (
    {identifier: ">B" for identifier in (0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A)}
    | {identifier: ">H" for identifier in (0x13, 0x21, 0x22, 0x23)}
    | {identifier: ">I" for identifier in (0x02, 0x11, 0x18, 0x27)}
    | {identifier: "text" for identifier in (0x03, 0x08, 0x12, 0x15, 0x1A, 0x1C, 0x1F)}
    | {identifier: "data" for identifier in (0x09, 0x16)}
    | {SUBSCRIPTION_ID: "varint", USER_PROPERTY: "pair"}
)
# What a server may put where (MQTT 5, table 2-4), but for User Properties outside PUBLISH and all but method and data in
# AUTH: sluice sends none. When it does, the statements without a test for that reason need one.
_ALLOWED = {
    CONNACK: {0x11, 0x12, 0x13, 0x15, 0x16, 0x1A, 0x1C, 0x1F, 0x21, 0x22, 0x24, 0x25, 0x27, 0x28, 0x29, 0x2A},
    PUBLISH: {0x01, 0x02, 0x03, 0x08, 0x09, 0x0B, 0x23, 0x26},
    DISCONNECT: {0x1C, 0x1F},
    AUTH: {0x15, 0x16},
} | {kind: {0x1F} for kind in (PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK)}

# The reason codes that MQTT 5 gives each packet, as far as a server may send them.
_PUBLISH_ANSWER = {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}
REASONS = {
    CONNACK: {0x00, *range(0x80, 0x8B), 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F},
    PUBACK: _PUBLISH_ANSWER,
    PUBREC: _PUBLISH_ANSWER,
    PUBREL: {0x00, 0x92},
    PUBCOMP: {0x00, 0x92},
    SUBACK: {0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2},
    UNSUBACK: {0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91},
    DISCONNECT: {0x00, *range(0x80, 0x84), 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, *range(0x93, 0xA3)},
    AUTH: {0x00, 0x18, 0x19},
}


# --- writing


def varint(value):
    out = bytearray()
    while True:
        value, digit = divmod(value, 128)
        out.append(digit | (0x80 if value else 0))
        if not value:
            return bytes(out)


def u16(value):
    return struct.pack(">H", value)


def data(raw):
    """With its length in front."""
    return u16(len(raw)) + raw


def text(value):
    """Bytes stand for text that is none."""
    return data(value if isinstance(value, bytes) else value.encode())


def prop(identifier, value):
    kind = _KINDS[identifier]
    writers = {"text": text, "data": data, "varint": varint, "pair": lambda pair: text(pair[0]) + text(pair[1])}
    return bytes([identifier]) + (writers[kind](value) if kind in writers else struct.pack(kind, value))


def properties(version, pairs):
    """The length and the properties of (identifier, value); nothing in 3.1.1. Bytes are taken as they are."""
    if version != V5:
        assert not pairs, "there are no properties in MQTT 3.1.1"
        return b""
    block = pairs if isinstance(pairs, bytes) else b"".join(prop(*pair) for pair in pairs)
    return varint(len(block)) + block


def packet(kind, body=b"", flags=0):
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


class Will(NamedTuple):
    topic: str
    payload: bytes = b"gone"
    qos: int = 0
    retain: bool = False
    props: tuple = ()


def connect_flags(clean=True, will=None, user=None, password=None):
    flags = clean << 1 | (user is not None) << 7 | (password is not None) << 6
    if will:
        flags |= 0x04 | will.qos << 3 | will.retain << 5
    return flags


def connect(
    version, client_id="", *, name="MQTT", flags=None, clean=True, keep_alive=60, props=(), will=None, user=None, password=None
):
    """flags: instead of those that the other arguments make."""
    if flags is None:
        flags = connect_flags(clean, will, user, password)
    body = text(name) + bytes([version, flags]) + u16(keep_alive) + properties(version, props) + text(client_id)
    if will:
        body += properties(version, will.props) + text(will.topic) + data(will.payload)
    for field in (user, password):
        if field is not None:
            body += text(field)
    return packet(CONNECT, body)


def publish(version, topic, payload=b"", *, qos=0, packet_id=None, retain=False, dup=False, props=()):
    """packet_id: none at QoS 0, else 1, unless it is given."""
    if packet_id is None and qos > 0:
        packet_id = 1
    identifier = b"" if packet_id is None else u16(packet_id)
    return packet(PUBLISH, text(topic) + identifier + properties(version, props) + payload, dup << 3 | qos << 1 | retain)


def ack(kind, packet_id, code=None, props=None):
    """PUBACK, PUBREC, PUBREL or PUBCOMP; without `code` in the short form, which is the only one of 3.1.1."""
    body = u16(packet_id) + (b"" if code is None else bytes([code]))
    if props is not None:
        body += properties(V5, props)
    return packet(kind, body, 2 if kind == PUBREL else 0)


def subscribe(version, *filters, packet_id=1, props=()):
    """filters: (topic filter, options byte)"""
    body = b"".join(text(topic_filter) + bytes([options]) for topic_filter, options in filters)
    return packet(SUBSCRIBE, u16(packet_id) + properties(version, props) + body, 2)


def unsubscribe(version, *filters, packet_id=1, props=()):
    return packet(UNSUBSCRIBE, u16(packet_id) + properties(version, props) + b"".join(map(text, filters)), 2)


def disconnect(code=None, props=None):
    body = b"" if code is None else bytes([code])
    return packet(DISCONNECT, body if props is None else body + properties(V5, props))


def auth(code, props=()):
    return packet(AUTH, bytes([code]) + properties(V5, props))


PING = packet(PINGREQ)


# --- reading


class Packet(NamedTuple):
    """A packet of the server; what it has not is None or empty."""

    kind: int
    flags: int
    size: int
    packet_id: int | None = None
    code: int | None = None
    session_present: int | None = None
    topic: str | None = None
    payload: bytes | None = None
    codes: tuple = ()
    properties: tuple = ()

    @property
    def qos(self):
        return self.flags >> 1 & 3

    @property
    def retain(self):
        return bool(self.flags & 1)

    @property
    def dup(self):
        return bool(self.flags & 8)

    def all(self, identifier):
        return [value for each, value in self.properties if each == identifier]

    def get(self, identifier):
        """The value of a property that is there once or not at all."""
        values = self.all(identifier)
        assert len(values) <= 1, f"property {identifier:#x} is there {len(values)} times"
        return values[0] if values else None


class _Reader:
    def __init__(self, raw):
        self.raw = raw

    def take(self, count):
        assert count <= len(self.raw), f"cut off: {count} bytes wanted of {self.raw!r}"
        taken, self.raw = self.raw[:count], self.raw[count:]
        return taken

    def unpack(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def data(self):
        return self.take(self.unpack(">H"))

    def text(self):
        value = self.data().decode()  # strict: surrogates and overlong forms fail
        assert "\0" not in value, f"U+0000 in {value!r}"
        return value

    def varint(self):
        value = shift = 0
        while True:
            byte = self.unpack(">B")
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                assert byte or not shift, "a variable byte integer is longer than it need be"
                return value
            shift += 7

    def property(self):
        identifier = self.unpack(">B")
        kind = _KINDS[identifier]
        if kind == "pair":
            return identifier, (self.text(), self.text())
        readers = {"text": self.text, "data": self.data, "varint": self.varint}
        return identifier, readers[kind]() if kind in readers else self.unpack(kind)

    def properties(self, kind):
        inner = _Reader(self.take(self.varint()))
        found = []
        while inner.raw:
            found.append(inner.property())
        identifiers = [identifier for identifier, _ in found]
        assert set(identifiers) <= _ALLOWED[kind], f"properties {identifiers} in packet type {kind}"
        single = [each for each in identifiers if each not in (USER_PROPERTY, SUBSCRIPTION_ID)]
        assert len(single) == len(set(single)), f"a property is there twice: {identifiers}"
        return tuple(found)


def decode(version, kind, flags, size, body):
    """The packet of a body, checked against the format of the version."""
    reader = _Reader(body)
    expected = 2 if kind == PUBREL else 0
    assert kind == PUBLISH or flags == expected, f"flags {flags:#x} of packet type {kind}"
    fields = _FIELDS[kind](reader, version, flags)
    assert not reader.raw, f"bytes behind the fields of packet type {kind}: {reader.raw!r}"
    codes = fields.get("codes", ()) or ([fields["code"]] if "code" in fields else [])
    if version == V5 and codes:
        assert set(codes) <= REASONS[kind], f"reason codes {codes} in packet type {kind}"
    return Packet(kind, flags, size, **fields)


def _connack(reader, version, _flags):
    acknowledge_flags = reader.unpack(">B")
    assert acknowledge_flags <= 1, f"reserved acknowledge flags: {acknowledge_flags:#x}"
    fields = {"session_present": acknowledge_flags, "code": reader.unpack(">B")}
    assert version == V5 or fields["code"] <= 5, f"return code {fields['code']}"
    return fields | ({"properties": reader.properties(CONNACK)} if version == V5 else {})


def _publish(reader, version, flags):
    qos = flags >> 1 & 3
    assert qos < 3 and (qos or not flags & 8), f"flags of PUBLISH: {flags:#x}"
    fields = {"topic": reader.text()}
    if qos:
        fields["packet_id"] = reader.unpack(">H")
        assert fields["packet_id"], "packet id 0"
    if version == V5:
        fields["properties"] = reader.properties(PUBLISH)
    return fields | {"payload": reader.take(len(reader.raw))}


def _ack(kind):
    def read(reader, version, _flags):
        fields = {"packet_id": reader.unpack(">H"), "code": 0}
        if version == V5 and reader.raw:
            fields["code"] = reader.unpack(">B")
        if version == V5 and reader.raw:
            fields["properties"] = reader.properties(kind)
        return fields

    return read


def _codes(kind):
    def read(reader, version, _flags):
        fields = {"packet_id": reader.unpack(">H")}
        if version == V5:
            fields["properties"] = reader.properties(kind)
        fields["codes"] = tuple(reader.take(len(reader.raw)))
        if version == V311:
            assert kind == SUBACK or not fields["codes"], "UNSUBACK has a payload"
            assert set(fields["codes"]) <= {0, 1, 2, 0x80}, f"codes of SUBACK: {fields['codes']}"
        return fields

    return read


def _ending(kind):
    def read(reader, version, _flags):
        assert version == V5, f"packet type {kind} of a server in MQTT 3.1.1"
        fields = {"code": reader.unpack(">B") if reader.raw else 0}
        return fields | ({"properties": reader.properties(kind)} if reader.raw else {})

    return read


_FIELDS = {
    CONNACK: _connack,
    PUBLISH: _publish,
    **{kind: _ack(kind) for kind in (PUBACK, PUBREC, PUBREL, PUBCOMP)},
    **{kind: _codes(kind) for kind in (SUBACK, UNSUBACK)},
    PINGRESP: lambda *_: {},
    **{kind: _ending(kind) for kind in (DISCONNECT, AUTH)},
}
