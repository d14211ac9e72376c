"""Text, integers, flags and packet ids: sections 1.5 and 2 of both standards, and what is a violation in any of them."""

import pytest

from conformance import covers, packets
from conformance.packets import (
    AUTH,
    CONNACK,
    CONNECT,
    CONTENT_TYPE,
    DISCONNECT,
    MALFORMED,
    MESSAGE_EXPIRY,
    PINGREQ,
    PINGRESP,
    PROTOCOL_ERROR,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    REASON_STRING,
    RESPONSE_TOPIC,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
    USER_PROPERTY,
    V5,
    Will,
)

ILL_FORMED = {
    "surrogate": b"a\xed\xa0\x80",
    "pair-of-surrogates": b"\xed\xa0\xbd\xed\xb8\x80",
    "overlong": b"\xc0\xaf",
    "cut-off": b"a\xe2\x82",
    "continuation-alone": b"\x80a",
    "above-U+10FFFF": b"\xf4\x90\x80\x80",
}
NUL = b"a\0b"

# Where a client says text: a packet with `bad` in it.
TEXTS = {
    "topic": lambda version, bad: packets.publish(version, bad, b"x", qos=1),
    "filter": lambda version, bad: packets.subscribe(version, (bad, 0)),
    "filter-to-end": lambda version, bad: packets.unsubscribe(version, bad),
}
TEXTS_OF_CONNECT = {
    "client-id": lambda version, bad: packets.connect(version, bad),
    "will-topic": lambda version, bad: packets.connect(version, "c", will=Will(bad)),
    "user": lambda version, bad: packets.connect(version, "c", user=bad),
}
TEXTS_OF_PROPERTIES = {
    "content-type": lambda bad: packets.publish(V5, "a", props=[(CONTENT_TYPE, bad)]),
    "response-topic": lambda bad: packets.publish(V5, "a", props=[(RESPONSE_TOPIC, bad)]),
    "name-of-pair": lambda bad: packets.publish(V5, "a", props=[(USER_PROPERTY, (bad, "v"))]),
    "value-of-pair": lambda bad: packets.publish(V5, "a", props=[(USER_PROPERTY, ("n", bad))]),
    "reason": lambda bad: packets.disconnect(0x04, [(REASON_STRING, bad)]),
}


@pytest.mark.parametrize("bad", [*ILL_FORMED.values()], ids=[*ILL_FORMED])
@pytest.mark.parametrize("place", [*TEXTS.values()], ids=[*TEXTS])
@covers("3.1.1:MQTT-1.5.3-1", "3.1.1:MQTT-3.8.3-1", "3.1.1:MQTT-3.10.3-1", "3.1.1:MQTT-3.3.2-1")
@covers("5:MQTT-1.5.4-1", "5:MQTT-3.8.3-1", "5:MQTT-3.10.3-1", "5:MQTT-3.3.2-1")
def test_ill_formed_text_closes_the_connection(connected, version, place, bad):
    client = connected()
    client.send(place(version, bad))
    client.expect_closed(MALFORMED)


@pytest.mark.parametrize("place", [*TEXTS.values()], ids=[*TEXTS])
@covers("3.1.1:MQTT-1.5.3-2", "5:MQTT-1.5.4-2", "3.1.1:MQTT-4.7.3-2", "5:MQTT-4.7.3-2")
def test_nul_in_text_closes_the_connection(connected, version, place):
    client = connected()
    client.send(place(version, NUL))
    client.expect_closed(MALFORMED)


@pytest.mark.parametrize("bad", [*ILL_FORMED.values(), NUL], ids=[*ILL_FORMED, "NUL"])
@pytest.mark.parametrize("place", [*TEXTS_OF_CONNECT.values()], ids=[*TEXTS_OF_CONNECT])
@covers("3.1.1:MQTT-1.5.3-1", "3.1.1:MQTT-1.5.3-2", "3.1.1:MQTT-3.1.3-4", "3.1.1:MQTT-3.1.3-10", "3.1.1:MQTT-3.1.3-11")
@covers("5:MQTT-1.5.4-1", "5:MQTT-1.5.4-2", "5:MQTT-3.1.3-4", "5:MQTT-3.1.3-11", "5:MQTT-3.1.3-12")
def test_bad_text_in_connect_is_refused(dial, version, place, bad):
    client = dial()
    client.send(place(version, bad))
    if version == V5:
        client.expect_refused(MALFORMED)
    else:
        client.expect_end()


@pytest.mark.parametrize("bad", [ILL_FORMED["surrogate"], NUL], ids=["surrogate", "NUL"])
@pytest.mark.parametrize("place", [*TEXTS_OF_PROPERTIES.values()], ids=[*TEXTS_OF_PROPERTIES])
@covers("5:MQTT-1.5.4-1", "5:MQTT-1.5.4-2", "5:MQTT-1.5.7-1", "5:MQTT-3.3.2-13", "5:MQTT-3.3.2-19")
def test_bad_text_in_properties_closes_the_connection(connected, place, bad):
    client = connected()
    client.send(place(bad))
    client.expect_closed(MALFORMED)


@covers("3.1.1:MQTT-1.5.3-3", "5:MQTT-1.5.4-3")
def test_a_byte_order_mark_is_a_character_like_others(connected, due, name):
    topic = f"{name}/\ufeffa"
    with_mark, without, publisher = connected(), connected(), connected()
    assert with_mark.subscribe(topic) == 0
    assert without.subscribe(f"{name}/a") == 0
    publisher.publish(f"{name}/a", b"without")
    publisher.publish(topic, b"with")
    with_mark.expect_message(topic, b"with")
    without.expect_message(f"{name}/a", b"without")
    assert due(with_mark) == due(without) == []


# --- lengths


@covers("5:MQTT-1.5.5-1")
@pytest.mark.parametrize(
    "raw",
    [
        b"\xc0\x80\x00",  # PINGREQ
        b"\x30\x86\x80\x00" + packets.text("a") + b"\0xy",  # PUBLISH
        packets.packet(PUBLISH, packets.text("a") + b"\x80\x00x"),  # its properties
        packets.packet(SUBSCRIBE, packets.u16(1) + b"\x03\x0b\x81\x00" + packets.text("a") + b"\0", 2),  # an identifier
    ],
    ids=["remaining-length", "remaining-length-in-three", "property-length", "subscription-identifier"],
)
def test_a_length_in_more_bytes_than_it_needs_is_malformed(connected, raw):
    client = connected()
    client.send(raw)
    client.expect_closed(MALFORMED)


@covers("3.1.1:MQTT-4.8.0-1", "5:MQTT-4.13.1-1")
def test_a_length_of_five_bytes_closes_the_connection(connected):
    client = connected()
    client.send(b"\x30\xff\xff\xff\xff\x01")
    client.expect_closed(MALFORMED)


@covers("5:MQTT-2.2.2-1")
def test_properties_may_not_be_left_out(connected, name):
    client = connected()
    topic = packets.text(f"{name}/a")
    client.send(packets.packet(PUBLISH, topic + packets.u16(1) + packets.varint(0) + b"x", 2))
    client.expect(PUBACK, packet_id=1, code=0)
    client.send(packets.packet(SUBSCRIBE, packets.u16(1), 2))
    client.expect_closed(MALFORMED)


@covers("5:MQTT-2.2.2-1")
def test_packets_without_properties_say_so(connected, name):
    """Reading insists on the length in each of them."""
    client, publisher = connected(), connected()
    assert client.subscribe(f"{name}/a") == 0
    publisher.publish(f"{name}/a", b"x")
    assert client.expect(PUBLISH, payload=b"x").properties == ()
    assert client.unsubscribe(f"{name}/a").codes == (0,)


# --- flags

FLAGS = {
    "PUBACK": (PUBACK, 0),
    "PUBREC": (PUBREC, 0),
    "PUBREL": (PUBREL, 2),
    "PUBCOMP": (PUBCOMP, 0),
    "SUBSCRIBE": (SUBSCRIBE, 2),
    "UNSUBSCRIBE": (UNSUBSCRIBE, 2),
    "PINGREQ": (PINGREQ, 0),
    "DISCONNECT": (DISCONNECT, 0),
}


def _body(version, kind):
    whole = {
        SUBSCRIBE: lambda: packets.subscribe(version, ("a", 0)),
        UNSUBSCRIBE: lambda: packets.unsubscribe(version, "a"),
        PINGREQ: lambda: packets.PING,
        DISCONNECT: packets.disconnect,
    }
    return whole[kind]()[2:] if kind in whole else packets.u16(1)


@pytest.mark.parametrize("kind, right", [*FLAGS.values()], ids=[*FLAGS])
@covers("3.1.1:MQTT-2.2.2-1", "3.1.1:MQTT-2.2.2-2", "5:MQTT-2.1.3-1")
@covers("3.1.1:MQTT-3.6.1-1", "3.1.1:MQTT-3.8.1-1", "3.1.1:MQTT-3.10.1-1", "3.1.1:MQTT-3.14.1-1")
@covers("5:MQTT-3.6.1-1", "5:MQTT-3.8.1-1", "5:MQTT-3.10.1-1", "5:MQTT-3.14.1-1")
def test_wrong_flags_close_the_connection(connected, version, kind, right):
    for wrong in set(range(16)) - {right}:
        client = connected()
        client.send(packets.packet(kind, _body(version, kind), wrong))
        client.expect_closed(MALFORMED)


@covers("5:MQTT-3.15.1-1")
def test_wrong_flags_of_auth_close_the_connection(connected):
    for wrong in range(1, 16):
        client = connected()
        client.send(packets.packet(AUTH, b"\x18\0", wrong))
        client.expect_closed(MALFORMED)


@covers("3.1.1:MQTT-2.2.2-2", "5:MQTT-2.1.3-1")
def test_wrong_flags_of_connect_close_the_connection(dial, version):
    for wrong in range(1, 16):
        client = dial()
        client.send(packets.packet(CONNECT, packets.connect(version, "c")[2:], wrong))
        client.expect_end()


# --- packet ids


@pytest.mark.parametrize("kind", ["SUBSCRIBE", "UNSUBSCRIBE", "PUBLISH-1", "PUBLISH-2"])
@covers("3.1.1:MQTT-2.3.1-1", "5:MQTT-2.2.1-3")
def test_a_packet_id_of_0_closes_the_connection(connected, version, kind):
    raw = {
        "SUBSCRIBE": packets.subscribe(version, ("a", 0), packet_id=0),
        "UNSUBSCRIBE": packets.unsubscribe(version, "a", packet_id=0),
        "PUBLISH-1": packets.publish(version, "a", qos=1, packet_id=0),
        "PUBLISH-2": packets.publish(version, "a", qos=2, packet_id=0),
    }
    client = connected()
    client.send(raw[kind])
    client.expect_closed(MALFORMED, PROTOCOL_ERROR)


@covers("3.1.1:MQTT-2.3.1-4", "3.1.1:MQTT-4.3.2-1", "3.1.1:MQTT-4.3.3-1")
@covers("5:MQTT-2.2.1-4", "5:MQTT-4.3.2-1", "5:MQTT-4.3.3-1", "5:MQTT-4.3.2-3", "5:MQTT-4.3.3-3", "5:MQTT-4.3.3-5")
def test_no_two_messages_under_way_to_a_client_share_an_id(connected, name):
    """Neither while PUBACK or PUBREC is outstanding nor, at QoS 2, until PUBCOMP."""
    client, publisher = connected(), connected()
    assert client.subscribe(f"{name}/#", 2) == 2
    under_way = set()
    for number in range(20):
        publisher.publish(f"{name}/a", b"", qos=1 + number % 2)
        message = client.expect(PUBLISH)
        assert message.packet_id not in under_way | {0}
        under_way.add(message.packet_id)
        if message.qos == 1 and number % 4:
            client.send(packets.ack(PUBACK, message.packet_id))
            under_way.remove(message.packet_id)
        elif message.qos == 2:
            client.send(packets.ack(PUBREC, message.packet_id))
            client.expect(PUBREL, packet_id=message.packet_id)
            if number % 3 == 0:
                client.send(packets.ack(PUBCOMP, message.packet_id))
                under_way.remove(message.packet_id)


@pytest.mark.parametrize("packet_id", [1, 2, 255, 256, 65535])
@covers("3.1.1:MQTT-2.3.1-6", "3.1.1:MQTT-2.3.1-7", "5:MQTT-2.2.1-5", "5:MQTT-2.2.1-6")
@covers("3.1.1:MQTT-3.8.4-2", "3.1.1:MQTT-3.10.4-4", "5:MQTT-3.8.4-2", "5:MQTT-3.10.4-5", "5:MQTT-4.3.2-4")
@covers("5:MQTT-4.3.3-8", "5:MQTT-4.3.3-11")
def test_answers_carry_the_id_of_what_they_answer(connected, name, packet_id):
    """Each call below waits for that id."""
    client = connected()
    client.subscribe(f"{name}/none", packet_id=packet_id)
    client.unsubscribe(f"{name}/none", packet_id=packet_id)
    client.publish(f"{name}/a", qos=1, packet_id=packet_id)
    client.publish(f"{name}/a", qos=2, packet_id=packet_id)


@covers("3.1.1:MQTT-2.3.1-5", "5:MQTT-2.2.1-2")
def test_at_qos_0_there_is_no_packet_id(connected, version, name):
    """Neither is one taken from the payload nor put before it."""
    client = connected()
    client.subscribe(f"{name}/a")
    client.send(packets.publish(version, f"{name}/a", b"\0\1xyz"))
    client.expect(PUBLISH, payload=b"\0\1xyz", packet_id=None)


# --- violations

OF_A_SERVER = {
    "CONNACK": packets.packet(CONNACK, b"\0\0\0"),
    "SUBACK": packets.packet(SUBACK, b"\0\1\0\0"),
    "UNSUBACK": packets.packet(UNSUBACK, b"\0\1\0\0"),
    "PINGRESP": packets.packet(PINGRESP),
}


@pytest.mark.parametrize("raw", [*OF_A_SERVER.values()], ids=[*OF_A_SERVER])
@covers("3.1.1:MQTT-4.8.0-1", "5:MQTT-4.13.1-1")
def test_a_packet_that_only_a_server_sends_closes_the_connection(connected, raw):
    client = connected()
    client.send(raw)
    client.expect_closed(MALFORMED, PROTOCOL_ERROR)




def _head(version):
    """What SUBSCRIBE and UNSUBSCRIBE begin with."""
    return packets.u16(1) + packets.properties(version, ())


MALFORMED_PACKETS = {
    "type-0": lambda version: b"\0\0",
    "PUBLISH-without-topic": lambda version: packets.packet(PUBLISH),
    "PUBLISH-cut-in-its-topic": lambda version: packets.packet(PUBLISH, b"\0\5abc"),
    "PUBLISH-cut-before-its-id": lambda version: packets.packet(PUBLISH, packets.text("a"), 2),
    "PUBACK-of-one-byte": lambda version: packets.packet(PUBACK, b"\0"),
    "SUBSCRIBE-without-options": lambda version: packets.packet(SUBSCRIBE, _head(version) + packets.text("abc"), 2),
    "UNSUBSCRIBE-cut-in-its-filter": lambda version: packets.packet(UNSUBSCRIBE, _head(version) + b"\0\5abc", 2),
    "PINGREQ-with-a-body": lambda version: packets.packet(PINGREQ, b"x"),
}


@pytest.mark.parametrize("raw", [*MALFORMED_PACKETS.values()], ids=[*MALFORMED_PACKETS])
@covers("3.1.1:MQTT-4.8.0-1", "5:MQTT-4.13.1-1", "5:MQTT-4.13.2-1")
def test_a_malformed_packet_closes_the_connection(connected, version, raw):
    client = connected()
    client.send(raw(version))
    client.expect_closed(MALFORMED)


@covers("3.1.1:MQTT-2.2.2-2")
def test_packet_type_15_closes_a_connection_of_311(connected):
    client = connected()
    client.send(packets.packet(AUTH))
    client.expect_end()


PROPERTIES_AT_FAULT = {
    "unknown": (b"\x7f\0", MALFORMED),
    "cut-off": (b"\x02\0\0", MALFORMED),
    "of-another-packet": (packets.prop(packets.RECEIVE_MAXIMUM, 5), PROTOCOL_ERROR),
    "twice": (packets.prop(MESSAGE_EXPIRY, 5) * 2, PROTOCOL_ERROR),
    "out-of-range": (packets.prop(packets.PAYLOAD_FORMAT, 2), PROTOCOL_ERROR),
}


@pytest.mark.parametrize("block, reason", [*PROPERTIES_AT_FAULT.values()], ids=[*PROPERTIES_AT_FAULT])
@covers("5:MQTT-4.13.1-1")
def test_a_property_that_is_wrong_closes_the_connection(connected, block, reason):
    client = connected()
    client.send(packets.publish(V5, "a", b"x", props=block))
    client.expect_closed(reason, MALFORMED)


@covers("3.1.1:MQTT-7.1.1-1", "5:MQTT-4.2.0-1")
def test_the_transport_is_a_stream_of_bytes(dial, version, name):
    """Packets may come in pieces and together; the answers come whole and in order."""
    client = dial()
    stream = packets.connect(version, name) + packets.publish(version, f"{name}/a", b"x" * 300, qos=1) + packets.PING
    for byte in stream:
        client.send(bytes([byte]))
    client.expect(CONNACK, code=0)
    found = [client.receive().kind for _ in range(2)]
    assert sorted(found) == [PUBACK, PINGRESP]
    client.send(*[packets.publish(version, f"{name}/a", b"x", qos=1, packet_id=packet_id) for packet_id in range(1, 50)])
    assert [client.expect(PUBACK).packet_id for _ in range(1, 50)] == [*range(1, 50)]
