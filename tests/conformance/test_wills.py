"""Wills: sections 3.1.2.5 to 3.1.2.7, 3.1.3.2 and 3.14.4."""

import time

import pytest

from conformance import covers, packets
from conformance.packets import (
    CONTENT_TYPE,
    CORRELATION_DATA,
    MALFORMED,
    PAYLOAD_FORMAT,
    RESPONSE_TOPIC,
    SESSION_EXPIRY,
    USER_PROPERTY,
    V5,
    WILL_DELAY,
    Will,
)

AN_HOUR_S = 3600


@pytest.fixture
def watcher(connected, name):
    """Subscribed to all that the test publishes."""
    client = connected(f"{name}-watcher")
    client.subscribe(f"{name}/#", 2)
    return client


def delayed(version, delay_s, expiry_s=AN_HOUR_S):
    """Properties of a CONNECT and of its will; MQTT 3.1.1 has neither."""
    return {"props": [(SESSION_EXPIRY, expiry_s)]}, {"props": ((WILL_DELAY, delay_s),)}


def expect_only_a_marker(watcher, publisher, topic):
    """Nothing was published before what is published now."""
    publisher.publish(topic, b"marker")
    watcher.expect_message(topic, b"marker")


@pytest.mark.parametrize("qos", [0, 1, 2])
@covers("3.1.1:MQTT-3.1.2-8", "3.1.1:MQTT-3.1.2-9", "5:MQTT-3.1.2-7", "5:MQTT-3.1.2-8", "5:MQTT-3.1.2-9", "5:MQTT-3.1.2-12")
def test_the_will_is_published_when_the_connection_is_lost(connected, watcher, name, qos):
    client = connected(name, will=Will(f"{name}/will", b"gone", qos))
    watcher.expect_nothing()
    client.close()
    message = watcher.expect_message(f"{name}/will", b"gone")
    assert (message.qos, message.retain) == (qos, False)


@covers("3.1.1:MQTT-3.1.2-8", "5:MQTT-3.1.2-8")
def test_the_will_is_published_after_a_violation(connected, watcher, name):
    client = connected(name, will=Will(f"{name}/will"))
    client.send(b"\0\0")
    client.expect_closed(MALFORMED)
    watcher.expect_message(f"{name}/will")


@covers("5:MQTT-3.1.2-8", "5:MQTT-3.14.4-3")
def test_disconnect_0x04_asks_for_the_will(connected, watcher, name):
    client = connected(name, will=Will(f"{name}/will"))
    client.send(packets.disconnect(0x04))
    client.expect_end()
    watcher.expect_message(f"{name}/will")


@covers("3.1.1:MQTT-3.1.2-10", "3.1.1:MQTT-3.14.4-3", "5:MQTT-3.1.2-10", "5:MQTT-3.14.4-3", "5:MQTT-3.1.2-8")
def test_disconnect_discards_the_will(connected, watcher, name):
    client = connected(name, will=Will(f"{name}/will"))
    client.send(packets.disconnect())
    client.expect_end()
    expect_only_a_marker(watcher, connected(), f"{name}/will")


@covers("3.1.1:MQTT-3.1.2-10", "5:MQTT-3.1.2-10")
def test_a_will_is_published_once(connected, watcher, name):
    connected(name, will=Will(f"{name}/will")).close()
    watcher.expect_message(f"{name}/will", b"gone")
    connected(name, clean=False).close()
    connected(name, clean=True).close()
    expect_only_a_marker(watcher, connected(), f"{name}/will")


@covers("3.1.1:MQTT-3.1.2-12")
def test_without_the_flag_no_will_is_published(connected, watcher, name):
    connected(name, will=Will(f"{name}/will")).close()
    watcher.expect_message(f"{name}/will", b"gone")
    connected(name).close()
    expect_only_a_marker(watcher, connected(), f"{name}/will")


@pytest.mark.parametrize("retain", [False, True])
@covers("3.1.1:MQTT-3.1.2-16", "3.1.1:MQTT-3.1.2-17", "5:MQTT-3.1.2-14", "5:MQTT-3.1.2-15")
def test_the_will_is_retained_if_asked_for(connected, watcher, name, retain):
    topic = f"{name}/will"
    connected(name, will=Will(topic, b"gone", 1, retain)).close()
    assert watcher.expect_message(topic, b"gone").retain is False
    late = connected()
    late.subscribe(topic)
    if retain:
        assert late.expect_message(topic, b"gone").retain
    connected().publish(topic, b"marker")
    assert not late.expect_message(topic, b"marker").retain


# --- flags that contradict each other

FLAGS = {
    "will-QoS-without-will": 0x0A,
    "will-QoS-2-without-will": 0x12,
    "will-retain-without-will": 0x22,
}


def expect_malformed(client):
    if client.version == V5:
        client.expect_refused(MALFORMED)
    else:
        client.expect_end()


@pytest.mark.parametrize("flags", [*FLAGS.values()], ids=[*FLAGS])
@covers("3.1.1:MQTT-3.1.2-11", "3.1.1:MQTT-3.1.2-13", "3.1.1:MQTT-3.1.2-15", "5:MQTT-3.1.2-11", "5:MQTT-3.1.2-13")
def test_without_the_will_flag_its_other_flags_are_refused(dial, version, flags):
    client = dial()
    client.send(packets.connect(version, "c", flags=flags))
    expect_malformed(client)


@covers("3.1.1:MQTT-3.1.2-11")
def test_without_the_will_flag_its_fields_are_refused(dial, version):
    client = dial()
    client.send(packets.connect(version, "c", flags=0x02, will=Will("a")))
    expect_malformed(client)


@covers("3.1.1:MQTT-3.1.2-9", "5:MQTT-3.1.2-9")
def test_with_the_will_flag_its_fields_must_be_there(dial, version):
    client = dial()
    client.send(packets.connect(version, "c", flags=0x06))
    expect_malformed(client)


@covers("3.1.1:MQTT-3.1.2-14", "5:MQTT-3.1.2-12")
def test_a_will_of_qos_3_is_refused(dial, version):
    client = dial()
    client.send(packets.connect(version, "c", flags=0x1E, will=Will("a")))
    expect_malformed(client)


@pytest.mark.parametrize("topic", ["", "a/+", "#"])
@covers("3.1.1:MQTT-3.2.2-6", "3.1.1:MQTT-4.7.1-1", "5:MQTT-3.1.4-2", "5:MQTT-4.7.0-1", "5:MQTT-3.2.2-8")
def test_a_will_must_have_a_proper_topic(dial, version, topic):
    client = dial()
    client.send(packets.connect(version, "c", will=Will(topic)))
    if version == V5:
        client.expect_refused(0x90, MALFORMED)
    else:
        client.expect_end()


# --- what MQTT 5 adds


@covers("5:MQTT-3.1.3-10", "5:MQTT-3.1.2-9")
def test_the_properties_of_a_will_go_with_it(connected, watcher, name):
    pairs = [("b", "1"), ("a", "2"), ("b", "3")]
    props = (
        (PAYLOAD_FORMAT, 1),
        (CONTENT_TYPE, "text/plain"),
        (RESPONSE_TOPIC, "answers"),
        (CORRELATION_DATA, b"\0\xff"),
        *((USER_PROPERTY, pair) for pair in pairs),
    )
    connected(name, will=Will(f"{name}/will", props=props)).close()
    message = watcher.expect_message(f"{name}/will")
    assert message.all(USER_PROPERTY) == pairs
    assert {each for each in message.properties if each[0] != USER_PROPERTY} == set(props[:4])


@covers("5:MQTT-3.1.2-8")
def test_a_delayed_will_is_not_early(connected, watcher, name):
    connect, will = delayed(V5, 1)
    client = connected(name, **connect, will=Will(f"{name}/will", **will))
    closed = time.monotonic()
    client.close()
    watcher.expect_message(f"{name}/will")
    assert 1 <= time.monotonic() - closed < 10


@covers("5:MQTT-3.1.2-8")
def test_the_end_of_the_session_cuts_the_delay(connected, watcher, name):
    connect, will = delayed(V5, AN_HOUR_S, expiry_s=0)
    connected(name, **connect, will=Will(f"{name}/will", **will)).close()
    watcher.expect_message(f"{name}/will")


@covers("5:MQTT-3.1.2-8")
def test_a_clean_start_ends_the_session_and_its_will_is_published(connected, watcher, name):
    connect, will = delayed(V5, AN_HOUR_S)
    connected(name, **connect, will=Will(f"{name}/will", **will)).close()
    connected(name, clean=True)
    watcher.expect_message(f"{name}/will")


@pytest.mark.parametrize("takes_over", [False, True])
@covers("5:MQTT-3.1.3-9", "5:MQTT-3.1.2-8")
def test_a_client_that_comes_back_in_time_calls_its_will_off(connected, watcher, name, takes_over):
    connect, will = delayed(V5, 1)
    first = connected(name, **connect, will=Will(f"{name}/will", **will))
    if not takes_over:
        first.close()
    second = connected(name, clean=False, **connect)
    # Another will of the same delay comes last, so the first one would have come before.
    other = connected(f"{name}-other", **connect, will=Will(f"{name}/other", **will))
    other.close()
    watcher.expect_message(f"{name}/other")
    second.expect_nothing()
    expect_only_a_marker(watcher, connected(), f"{name}/will")
