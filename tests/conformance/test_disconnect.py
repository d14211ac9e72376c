"""PINGREQ and DISCONNECT: sections 3.12 to 3.14; wills are in test_wills.py."""

import pytest

from conformance import covers, packets
from conformance.packets import (
    DISCONNECT,
    MALFORMED,
    PINGRESP,
    PROTOCOL_ERROR,
    SESSION_EXPIRY,
    V5,
)

SHUTTING_DOWN = 0x8B
OF_DISCONNECT = [0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99]  # what a client may say
NOT_OF_DISCONNECT = [0x01, 0x02, 0x03, 0x10, 0x11, 0x18, 0x84, 0x85, 0x86, 0x88, 0x8A, 0x8C, 0x91, 0x92, 0xA3, 0xFF]


@covers("3.1.1:MQTT-3.12.4-1", "5:MQTT-3.12.4-1")
def test_each_pingreq_is_answered(connected):
    client = connected()
    client.send(packets.PING * 3)
    for _ in range(3):
        client.expect(PINGRESP)


@covers("3.1.1:MQTT-3.14.4-2", "5:MQTT-3.14.4-1", "5:MQTT-3.14.4-2")
def test_after_disconnect_nothing_more_is_processed(connected, version, name):
    """The server says nothing and closes."""
    client, subscriber, publisher = connected(), connected(), connected()
    subscriber.subscribe(f"{name}/a")
    client.send(packets.disconnect(), packets.publish(version, f"{name}/a", b"behind"))
    client.expect_end()
    publisher.publish(f"{name}/a", b"marker")
    subscriber.expect_message(payload=b"marker")


@pytest.mark.parametrize("code", OF_DISCONNECT)
@covers("5:MQTT-3.14.2-1")
def test_the_codes_of_disconnect_are_accepted(connected, code):
    client = connected()
    client.send(packets.disconnect(code))
    client.expect_end()


@pytest.mark.parametrize("code", NOT_OF_DISCONNECT)
@covers("5:MQTT-3.14.2-1")
def test_other_codes_are_a_violation(connected, code):
    client = connected()
    client.send(packets.disconnect(code))
    client.expect_closed(PROTOCOL_ERROR)


@covers("5:MQTT-3.14.2-2", "5:MQTT-4.13.1-1")
def test_a_session_cannot_be_asked_for_at_its_end(connected):
    """CONNECT asked for none (3.14.2.2.2)."""
    client = connected()
    client.send(packets.disconnect(0, [(SESSION_EXPIRY, 1)]))
    assert client.expect(DISCONNECT, code=PROTOCOL_ERROR).get(SESSION_EXPIRY) is None
    client.expect_end()


@covers("5:MQTT-3.14.4-1", "5:MQTT-3.14.4-2", "5:MQTT-3.14.2-2", "5:MQTT-4.13.2-1")
def test_a_disconnect_of_the_server_is_its_last_packet(connected, version, name):
    client, publisher = connected(), connected()
    client.subscribe(f"{name}/a")
    client.send(b"\0\0", packets.PING, packets.publish(version, f"{name}/a", b"x"))
    publisher.publish(f"{name}/a", b"x")
    assert client.expect(DISCONNECT, code=MALFORMED).get(SESSION_EXPIRY) is None
    client.expect_end()


@covers("5:MQTT-3.14.0-1")
def test_there_is_no_disconnect_before_a_connack(dial):
    """Nor after one that refuses."""
    for raw in packets.disconnect(), packets.PING, b"\0\0":
        client = dial()
        client.send(raw)
        client.expect_end()
    client = dial()
    client.send(packets.connect(V5, "c", flags=0x03))
    client.expect_refused(MALFORMED)


@covers("3.1.1:MQTT-4.8.0-1", "5:MQTT-3.14.2-1", "5:MQTT-3.14.4-2")
def test_a_server_that_stops_closes_its_connections(new_hub, connected):
    hub = new_hub()
    client = connected(to=hub)
    assert hub.stop() == 0
    client.expect_closed(SHUTTING_DOWN)


@covers("5:MQTT-3.14.1-1", "3.1.1:MQTT-3.14.1-1")
def test_a_disconnect_that_is_too_long_closes_the_connection(connected, version):
    client = connected()
    client.send(packets.packet(DISCONNECT, b"\0\0x" if version == V5 else b"x"))
    client.expect_closed(MALFORMED)
