"""Retained messages: section 3.3.1.3 of both standards, and what SUBSCRIBE says of them (3.8)."""

import pytest

from conformance import covers, packets

RETAIN_AS_PUBLISHED = 0x08
HANDLING_NEW, HANDLING_NONE = 0x10, 0x20  # Retain Handling 1 and 2


@pytest.fixture
def topic(name):
    return f"{name}/a"


@pytest.fixture
def publisher(connected):
    return connected()


def store(publisher, topic, payload, qos):
    """Retains a message and waits until it is stored, of which at QoS 0 only the answer to a later one tells."""
    publisher.publish(topic, payload, qos=qos, retain=True)
    publisher.publish(f"{topic}/later", b"")


def expect_only_live(client, publisher, topic):
    """No retained message comes: the next message is one that is published now."""
    publisher.publish(topic, b"live")
    message = client.expect_message(topic, b"live")
    assert not message.retain


@pytest.mark.parametrize("qos", [0, 1, 2])
@covers("3.1.1:MQTT-3.3.1-5", "3.1.1:MQTT-3.3.1-6", "3.1.1:MQTT-3.3.1-8", "5:MQTT-3.3.1-5", "5:MQTT-3.3.1-9")
def test_a_new_subscription_gets_what_is_retained(connected, publisher, topic, qos):
    store(publisher, topic, b"kept", qos)
    client = connected()
    client.subscribe(topic, 2)
    message = client.expect_message(topic, b"kept")
    assert (message.qos, message.retain) == (qos, True)
    expect_only_live(client, publisher, topic)


@covers("3.1.1:MQTT-3.3.1-6", "5:MQTT-3.3.1-9")
def test_a_wildcard_gets_what_is_retained_on_each_topic(connected, publisher, name):
    topics = {f"{name}/{level}" for level in "abc"}
    for topic in topics:
        publisher.publish(topic, b"kept", retain=True)
    client = connected()
    client.subscribe(f"{name}/#")
    assert {client.expect_message(payload=b"kept").topic for _ in topics} == topics


@pytest.mark.parametrize("qos", [0, 1])
@covers("3.1.1:MQTT-3.3.1-7", "3.1.1:MQTT-3.3.1-5", "5:MQTT-3.3.1-5")
def test_a_later_message_takes_the_place_of_an_earlier(connected, publisher, topic, qos):
    store(publisher, topic, b"old", 2)
    store(publisher, topic, b"new", qos)
    client = connected()
    client.subscribe(topic, 2)
    assert client.expect_message(topic, b"new").qos == qos
    expect_only_live(client, publisher, topic)


@covers("3.1.1:MQTT-3.3.1-9", "5:MQTT-3.3.1-12")
def test_an_established_subscription_gets_messages_without_the_flag(connected, publisher, topic):
    client = connected()
    client.subscribe(topic, 1)
    publisher.publish(topic, b"x", retain=True)
    assert not client.expect_message(topic, b"x").retain


@covers("5:MQTT-3.3.1-13")
def test_retain_as_published_keeps_the_flag(connected, publisher, topic):
    client = connected()
    client.subscribe(topic, RETAIN_AS_PUBLISHED)
    for retain in (True, False):
        publisher.publish(topic, b"x", retain=retain)
        assert client.expect_message(topic, b"x").retain == retain


@covers("3.1.1:MQTT-3.3.1-10", "3.1.1:MQTT-3.3.1-11", "5:MQTT-3.3.1-6", "5:MQTT-3.3.1-7")
def test_an_empty_message_removes_what_is_retained(connected, publisher, topic):
    early, late = connected(), connected()
    early.subscribe(topic)
    publisher.publish(topic, b"kept", retain=True)
    publisher.publish(topic, b"", retain=True)
    early.expect_message(topic, b"kept")
    early.expect_message(topic, b"")
    late.subscribe(topic)
    expect_only_live(late, publisher, topic)


@covers("3.1.1:MQTT-3.3.1-12", "5:MQTT-3.3.1-8")
def test_a_message_without_the_flag_is_neither_retained_nor_a_replacement(connected, publisher, topic):
    publisher.publish(topic, b"not kept")
    first, second = connected(), connected()
    first.subscribe(topic)
    expect_only_live(first, publisher, topic)
    publisher.publish(topic, b"kept", retain=True)
    publisher.publish(topic, b"not kept")
    publisher.publish(topic, b"")
    second.subscribe(topic)
    assert second.expect_message(topic, b"kept").retain
    expect_only_live(second, publisher, topic)


@covers("3.1.1:MQTT-3.1.2-7")
def test_retained_messages_outlive_the_session(connected, topic, name):
    publisher = connected(name)
    publisher.publish(topic, b"kept", retain=True)
    publisher.send(packets.disconnect())
    publisher.expect_end()
    client = connected(name)
    client.subscribe(topic)
    assert client.expect_message(topic, b"kept").retain


@covers("5:MQTT-3.3.1-10")
def test_retain_handling_1_is_for_new_subscriptions(connected, publisher, topic):
    publisher.publish(topic, b"kept", retain=True)
    client = connected()
    client.subscribe(topic, HANDLING_NEW)
    assert client.expect_message(topic, b"kept").retain
    client.subscribe(topic, HANDLING_NEW)
    expect_only_live(client, publisher, topic)
    client.unsubscribe(topic)
    client.subscribe(topic, HANDLING_NEW)
    assert client.expect_message(topic, b"kept").retain


@covers("5:MQTT-3.3.1-11")
def test_retain_handling_2_is_for_none(connected, publisher, topic):
    publisher.publish(topic, b"kept", retain=True)
    client = connected()
    client.subscribe(topic, HANDLING_NONE)
    expect_only_live(client, publisher, topic)


@covers("3.1.1:MQTT-3.8.4-3", "5:MQTT-3.8.4-4")
def test_a_subscription_that_is_replaced_gets_what_is_retained_again(connected, publisher, topic):
    publisher.publish(topic, b"kept", retain=True)
    client = connected()
    for qos in (0, 2):
        client.subscribe(topic, qos)
        assert client.expect_message(topic, b"kept").retain
    expect_only_live(client, publisher, topic)
